"""Tortoise's engines with a pool, limits, errors and transactions of our own; it loads the one of a URL by its name.

sqlite  embedded  postgres  aiomysql  asyncmy     the engines
transactions  statements                          what is done with a connection
pooled  pool  mysql                               where a connection comes from
translation  outage  limits                       what goes wrong, who hears of it, how long it may take
"""
