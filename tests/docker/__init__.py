"""Tests of the deployment files: image, compose file, alert rules, dashboard."""
