"""Creates services: the questions, the files that follow from the answers, and writing them."""
