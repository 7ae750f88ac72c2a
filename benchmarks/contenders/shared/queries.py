"""The statements of the contenders that call asyncpg by hand."""

COLUMNS = "id, name, category, description, price, stock, active, created_at"
ROW = f"SELECT {COLUMNS} FROM item WHERE id = $1"
FIRST_100 = f"SELECT {COLUMNS} FROM item ORDER BY id LIMIT 100"
PAGE = f"SELECT {COLUMNS} FROM item ORDER BY id LIMIT 20 OFFSET $1"
COUNT = "SELECT count(*) FROM item"
CREATE = "INSERT INTO note (title, author, body) VALUES ($1, $2, $3) RETURNING id, title, author, body"
UPDATE = f"UPDATE item SET stock = $2 WHERE id = $1 RETURNING {COLUMNS}"
