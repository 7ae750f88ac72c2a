"""Making services: what is asked, which files follow from the answers, and how they are written."""
