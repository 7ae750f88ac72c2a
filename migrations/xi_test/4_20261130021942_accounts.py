from tortoise import BaseDBAsyncClient

DIALECT = "postgres"
RUN_IN_TRANSACTION = True


async def upgrade(db: BaseDBAsyncClient) -> str:
    return """
ALTER TABLE "xi_user" ALTER COLUMN "name" TYPE VARCHAR(254) USING "name"::VARCHAR(254);
ALTER TABLE "xi_user" ALTER COLUMN "token_digest" DROP NOT NULL;
ALTER TABLE "xi_user" ADD COLUMN "role" VARCHAR(20) NOT NULL DEFAULT 'author';
ALTER TABLE "xi_user" ALTER COLUMN "role" DROP DEFAULT;
ALTER TABLE "xi_user" ADD COLUMN "password_hash" VARCHAR(255);
COMMENT ON TABLE "xi_user" IS 'Who may write: a person with a password, or a script with a token. Only their digests are stored.';
CREATE TABLE "xi_user_token" (
    "id" VARCHAR(64) NOT NULL PRIMARY KEY,
    "account" VARCHAR(254) NOT NULL,
    "purpose" VARCHAR(20) NOT NULL,
    "digest" VARCHAR(64) NOT NULL,
    "expires_at" TIMESTAMPTZ NOT NULL
);
CREATE INDEX "idx_xi_user_tok_digest_47b047" ON "xi_user_token" ("digest");
CREATE INDEX "idx_xi_user_tok_expires_f15b07" ON "xi_user_token" ("expires_at");
COMMENT ON TABLE "xi_user_token" IS 'The tokens that people get by mail, with which they choose a password.';"""


async def downgrade(db: BaseDBAsyncClient) -> str:
    return """
DROP TABLE "xi_user_token";
ALTER TABLE "xi_user" DROP COLUMN "role";
ALTER TABLE "xi_user" DROP COLUMN "password_hash";
ALTER TABLE "xi_user" ALTER COLUMN "name" TYPE VARCHAR(40) USING "name"::VARCHAR(40);
UPDATE "xi_user" SET "token_digest" = 'none ' || "id" WHERE "token_digest" IS NULL;
ALTER TABLE "xi_user" ALTER COLUMN "token_digest" SET NOT NULL;
COMMENT ON TABLE "xi_user" IS 'A user who may write. Only the digest of the token is stored.';"""


MODELS_STATE = (
    "eJztXV1zozYX/isa33Q7k2YSx46ze2dnva27SdxxvG+77ewwMig2EwwuyJt42vz3VwIEkh"
    "AYHLCJy9XG4ogjniOdLx1p/2k9mxpGHj7tu9jULdT6AP5p2XBJ/0g8OwEtuFpxT2gLhjOL"
    "UUOOcOZhF+qYPHmAlodIk4E83TVX2HRsSt+3QUh/CqYLBCzTw8BbOE8ecGxrA1brGWlaII"
    "P8RN4pfanh6OStpj3fsf/aNv9eIw07c4QXyCVv+esbaTZtAz0jj/1cPWoPJrIMAQvToC/w"
    "2zW8WfltIxt/8gnp0Gaa7ljrpR0TrzZ44dgRtWn7eM2RjVyIEX09dtcUGHttWSGKDKtgpD"
    "FJMESuj4Ee4Nqi8NLewQDitpam3Y2n2v1wqmmtBPSsB4dm2KQ7NhUbGarnf/2cDuGn9nmn"
    "17m6uOxcERJ/mFFL7yVgHQMTdPThuZu2XvznEMOAwsc4BlV3EUVCgzgJ7kfyBJtLpEZY7C"
    "khbYRdT9kfMu4M5SzgWUOMfDyP9wE9+UBjTOZxKPIMnKej2+H9tH/7G2W39Ly/LR+//nRI"
    "n7T91o3U+u7yR9rukCUarN7oJeD30fQXQH+CP8d3Qx9ex8Nz1+cY003/bNExwTV2NNt50q"
    "DBzU7WylAjlLHU1ytjR6mLPRup10XqDCNO7OHoY6l71nqelPf1ArpqWTN6ScoErV3kelg1"
    "uoTPmoXsOV6Qn1dnGVL9X39y/Ut/8u7qTJLUXfik7T96EaDFJg6Mbl5sow7lgHvoRSPA2z"
    "7Lgy+hSgXYfyYiPHOMTRLgKXpOcQAY/VHgm6WEhn9MBf3DUHx32//jR0EH3YzvfmbkHOrX"
    "N+OBBHbkuCURHziOhaCtBl3oJyE/Ix2rgj5q2S/2g/H4RsB+MJLB/XI7GE7enfuCIEQmRr"
    "xfFiNO9PbCcbVCPq7QZ7uruxvYb83ZpeHDw6PS1w3wSgL8yXGRObc/o42P84iMCdq6Sjuz"
    "cOyLh0pSI/uE94VNINYa83fhUxRxifOKfL2BLBTM2+v+/XX/47DlozyD+uMTdA0tBW7dWS"
    "4RZZ3UIWHPT58nyIL+Z6RjfR285u1q7QTePnpO2+FQE/BMPlq2l3ILtOHc/yTKm3KS8VKl"
    "ETgss9MIOke4PY0AQnIS5gPI5QQ++hPHYI89QBbWBpg2IKE/8NmBtY1Ni/42XdYPmB4Ipp"
    "yhSDlUy6tJTzTpiTeiXd5ooNqkJ/6LUs+TnrDM7/TLi0Uccafdwo1wOhYSL1OwbzbYCC3e"
    "DutL7FnC+toF/wMF2vVeTkkt2mRM9pgxCf3JggG80KmJ4Ju0yEHSIvGW8WvzItw29duCOH"
    "dqRFix6txIcv42KadKU06VplNGBlquHIxsfUOk1VJlVSSSk23JFTOm1x7DDjmSLIQUzDbg"
    "aWHqCwCBbpk0DbKEG+CiFQl2SZuLiNA9fAKgbfiJD+JOrAj2iPwgBCYGc4Q9AOdEFKrcSh"
    "UsSk6ppG+pKRX+29+svOzk2Ey77KTupdFH2UmWBzIY5K7c0DjmxVvqdhRuYzXQN/ms481s"
    "5MlnoeeVSd62g9TFnvuR+gH8g7oLOVe8TVw4vFbsdqUGKnGHnaKUmqVOyg79FkQdIFeB56"
    "/34zs1oFwXeamYOgb/+gWqbw/ZDNgoFtm5DDltIU18+gI5l6FOHA1MG7qbQqmj2Ya4v0eF"
    "9yCEMMKbwD0Y3fUnX9XJo4EC8sHX6bCvCskPFOGM13jmPLdUkU34aGtE48R0WwOZX52ZF8"
    "QKkAge2h6hJo/AAnoA2WQCrJERBheUxkXAdjDdyJ0gw/TABuFk5FLSO0sOVQbm/L+yAfy+"
    "3b646LXPLi6vup1er3t1Fqn/5KMsOzAY/UxNgaC4tm8T+xIuErtEHY4waunkqb7spBdfdh"
    "K1l0vkeUR5FNlM4LocBcT73k9oAsX02X5cgWJd3AA/waxyAljmOdsFWDOqrQ7A7wvHTyk+"
    "uSZGH4jFXhGfnRjrJxPTpOMKet6T4xonwHHJz6Are4idR2SfAir9sJDLMOdkNJ5v1D3suK"
    "qisb1wbErH6lU65v9bwCVg9EeXQG5386QxCVX6cYxuIpHpOsXOuzD6/TkD3N7bPo685Drx"
    "knHgRQaYKSWNxDCLIkgnOu4Eec1CcnlGd3PN6G7GjO4mjnBRRa8Fyr0I3nK/UuCukfpoNk"
    "Ea33YPvm2iHuW150ZKrUWpx7kRYRE1p2tSUKo8SppSjd9KC5WCpyd54iUNR7RboyZ6v4ZP"
    "HiY6V8hZWYgWW9CKjSU0CUR+yBIUb5AQZAP0heN4iItwkqFRea9t6jzqYWfTIyKo6866WI"
    "0H1+Uo0nh7iIxWa5dYzkLBEdflGFEuPTYq7qS/0j2vWdVE1Q56U69yrPUqdUk293Uded4E"
    "6cR7UHpSAsFWZwr61Jobk2/1p8Y2LV2FBnAehHPE1CGiZbCmRx0ci0geBNMbzJAOidcGAi"
    "4ecNbYMr8j8UCx4pa0Sjk1W9ZvdMu6OTBUSdUYXWg72C2u2xFmlRqrVZLVQi4JgtX2KniU"
    "balgTLTNPqXLttlnrNc+43fkemGOLW80wnU5xnivit0ZuqoKIBySHyG657ku1zvPuFzvPH"
    "m5HuGIkSozlF5rzXV5Va113dDeR7H1oe2Zb5AkNSbeHR3IWSIRd9+iGkDOqIeiVcqsFcwu"
    "ywrDousvk8nwbqoJHgg/WVrBQNhtVi3xZK1408uBBxPYysikBtFAbuYJXvfDyah/A8h0Bn"
    "dfbm7Ab5PRbX/yFXwefs0cBruwlQ1Eusp09wFlco2uMpXZshs+K+LLDh1Esg8LKytiJ9xt"
    "GcXL4aUsuXl+6t/cD4sxFs5GlzbHEiypqnj0TziH05nzKFVqQqOzjZ1f5vRFMAu/Kfw/1S"
    "nwR8KFDQc9k6eqxfWscWxDOLSLno7Oz2TmMVjCCBhAwhBYY8oYfC0dnNOnn5kORMSTqG4e"
    "jqTwFPWSJNSRfW7l+XfS7ukLtIRMj38TBbjDXfzC+6ihcAjb1ofkFrogDvF2wMZQFBpMfF"
    "1VigZJREavU1rifU3ZH18y65rYxD1bCTFDV522rq2BCLV12DPSkZdd2O11E9o6RuvV6lph"
    "MqJBhCajO7u4ev9wSJMhw6K2GeIcUv/vLjvbDbUur4kRq/Z2160Gj1VDySApbmxRGj5xCU"
    "p7rxWtfukajv0yr5WlFzefXzuYYrzjs/xqBVyyceVOuvOpmkF1HGU7GpxiLpVdIQPDlqTG"
    "pP5wYehtQ1bu3JyoRLsnFFgVVyht1VvSDVSy+oqPZ+fQWvF25u5LhbxjV38tOpkrK7JOpc"
    "kE7rzqnjzFg6vOrOWWY6qXdOZ+69wO7yCQ5zRzPXLM6IPFHuxIWSIx1q3UKLOzVsl8XDGu"
    "PwR+3w/FuCfOHyW/vsuPo2Q7JR/HyfaHSmZe6zWdWD4a/a3K4Pl0JWbwhHL3UDYqvoLsXs"
    "k/hwbby7HgrfrNP16dDletYg2uHHzPOo0rkX6tWivGOK8mKZvvvoOZQs43m55sLXd6s7NO"
    "T17OqoVcUmYnGkDk/Z93Z2eJEezZ+y/vME0urRGcNJJVR6IWtv4+/yGSplzFX80WFxNglC"
    "Q8axuz3nt5bpeZO80xtyutYt6+E8WXg4tzJ6qpq3MkwFV8bXGHSzfZQSWUzPW82r15rjoo"
    "LT9V9brKMafzTb1ggr18e/k/CdCiRA=="
)
