"""Bodies before validation: their content type, their size, and the fields and files of forms."""
