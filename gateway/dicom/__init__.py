"""DICOM on the wire: associations, requests, answers."""
