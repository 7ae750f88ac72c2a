"""Tortoise's engines with our pool, timeouts, errors and transactions; Tortoise loads the engine of a URL by its name.

sqlite  embedded  postgres  aiomysql  asyncmy     the engines
transactions  statements                          what runs on a connection
pooled  pool  mysql                               where connections come from
translation  outage  timeouts                     errors, their log lines, limits of time
"""
