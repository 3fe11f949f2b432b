"""MEDLINE text (.nbib): reading and writing."""
