"""Runs of plans, and their adoption by a later service."""
