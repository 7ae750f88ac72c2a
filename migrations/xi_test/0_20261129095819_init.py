from tortoise import BaseDBAsyncClient

DIALECT = "postgres"
RUN_IN_TRANSACTION = True


async def upgrade(db: BaseDBAsyncClient) -> str:
    return """
CREATE TABLE IF NOT EXISTS "xi_user" (
    "id" SERIAL NOT NULL PRIMARY KEY,
    "name" VARCHAR(40) NOT NULL,
    "token_digest" VARCHAR(64) NOT NULL,
    "created_at" TIMESTAMPTZ NOT NULL,
    CONSTRAINT "xi_user_name_key" UNIQUE ("name"),
    CONSTRAINT "xi_user_token_digest_key" UNIQUE ("token_digest")
);
COMMENT ON TABLE "xi_user" IS 'Somebody who may write. Of the token only its digest is kept.';
CREATE TABLE IF NOT EXISTS "xi_access_record" (
    "id" BIGSERIAL NOT NULL PRIMARY KEY,
    "article_id" INT NOT NULL,
    "read_at" TIMESTAMPTZ NOT NULL
);
CREATE INDEX IF NOT EXISTS "idx_xi_access_r_article_02db79" ON "xi_access_record" ("article_id");
COMMENT ON TABLE "xi_access_record" IS 'One reading of an article. It holds a plain key: records outlive what they tell of.';
CREATE TABLE IF NOT EXISTS "aerich" (
    "id" SERIAL NOT NULL PRIMARY KEY,
    "version" VARCHAR(255) NOT NULL,
    "app" VARCHAR(100) NOT NULL,
    "content" JSONB NOT NULL
);
CREATE TABLE IF NOT EXISTS "xi_article" (
    "created_at" TIMESTAMPTZ NOT NULL,
    "updated_at" TIMESTAMPTZ NOT NULL,
    "id" SERIAL NOT NULL PRIMARY KEY,
    "slug" VARCHAR(80) NOT NULL,
    "title" VARCHAR(200) NOT NULL,
    "body" TEXT NOT NULL,
    "published" BOOL NOT NULL,
    "author_id" INT NOT NULL,
    CONSTRAINT "xi_article_slug_key" UNIQUE ("slug"),
    CONSTRAINT "xi_article_author_id_fkey" FOREIGN KEY ("author_id") REFERENCES "xi_user" ("id") ON DELETE CASCADE
);
CREATE INDEX IF NOT EXISTS "idx_xi_article_author__37ce10" ON "xi_article" ("author_id");
COMMENT ON TABLE "xi_article" IS 'An article. Only published ones are on the list.';
CREATE TABLE IF NOT EXISTS "xi_comment" (
    "created_at" TIMESTAMPTZ NOT NULL,
    "updated_at" TIMESTAMPTZ NOT NULL,
    "living" BOOL,
    "deleted_at" TIMESTAMPTZ,
    "id" SERIAL NOT NULL PRIMARY KEY,
    "body" TEXT NOT NULL,
    "article_id" INT NOT NULL,
    "author_id" INT NOT NULL,
    CONSTRAINT "xi_comment_article_id_fkey" FOREIGN KEY ("article_id") REFERENCES "xi_article" ("id") ON DELETE CASCADE,
    CONSTRAINT "xi_comment_author_id_fkey" FOREIGN KEY ("author_id") REFERENCES "xi_user" ("id") ON DELETE CASCADE
);
CREATE INDEX IF NOT EXISTS "idx_xi_comment_article_65a575" ON "xi_comment" ("article_id");
CREATE INDEX IF NOT EXISTS "idx_xi_comment_author__5b389f" ON "xi_comment" ("author_id");
COMMENT ON TABLE "xi_comment" IS 'A comment below an article. Deleted ones stay for the moderators; all go with the article.';"""


async def downgrade(db: BaseDBAsyncClient) -> str:
    return """"""


MODELS_STATE = (
    "eJztXG1z2jgQ/isaPqUzd5lAIKS9T5CSlmsCHSB3bW8yHmEL8MRY1BZNmDb//STZsi35Bf"
    "PiACmfgqWVVn52tbvalfOz9GRqBLnktOEQU7dQ6R34WbLhlP2I9f0BSnA2i/SwFgKHlqCG"
    "EcKhSxyoE9ozgpaLaJOBXN0xZ8TENqNv2MCnPwVd21qA2Xxome4EGQDbyKWdiP4AZIIAbS"
    "anbFYD63Ra0x6vO8HcNr/PkUbwGNF2h07z3z1tNm0DPSFXPM4etJGJLENCwzTYBLxdI4sZ"
    "b2vb5JoTsrUNNR1b86kdEs8WZILtgNq0OWJjZCMHEsSmJ86cQWPPLcvHUaDlrTQk8ZYYGW"
    "OgEZxbDGA22ltA2FbStE53oPVbA00rxcAXIyJw+k06tpng6FJd/vZjtoQ/K+VqvXp5flG9"
    "pCR8mUFL/dljHQLjDeTwdAalZ94PCfQoOMYhqLqDGBIaJHFw39MeYk5RMsLySAVpwx96Kn"
    "6ouAuUs4AXDSHyoSa/BPT0BQ2m177IM3AetG9b/UHj9jNjN3Xd7xbHrzFosZ4Kb10orScX"
    "b1g7ppvU27/BJODf9uAjYI/gW7fT4vBil4wdzjGkG3wrsTXBOcGajR81aES0U7QK1ChlKP"
    "X5zFhT6vLIo9T3ReoCo4jY/dWHUnet+Tgu76sJdJJlLegVKVO01pHrbs3oFD5pFrLHZEIf"
    "L88ypPpPo3f1sdE7uTxTJNXxeyq861mClpjEc7t5sQ0GbAfcXW8aCd7KWR58KVUqwLxPRn"
    "iIjUUc4AF6SgkABP2rwDfLCLW+DCT7I1A8uW18eSPZoJtu54Mgj6B+ddNtKmAHgVwc8SbG"
    "FoJ2MujSOAX5IR1YFPRBy8ti3+x2byTsm20V3LvbZqt3UuaCoEQmQdG4LESc2u0JdrSVYl"
    "xpzPJQdz2wDy3YZceH0UNirOvhFQf4GjvIHNuf0ILj3KZrgraeZJ3FgezORVsyIy8J77NQ"
    "INEa8nfgY3DikvWKvr2BLOTp7VWjf9V43ypxlIdQf3iEjqGlwK3j6RQx1nEb4o+8/tRDFu"
    "SvkY71lTfN4VrtGN4cPVzBEdQkPONd08pUbYE2HPNXYrwZJxWvpERCBMvsRIIeIVyeSAA+"
    "ORgiCz8CGMkLvOe64ycE6L5agBF2eEpgig0mTOy4fwFoWWCMwaNJJrxPDI+nHApldUxOHJ"
    "MTB2JbDvSYekxO/I5Sz5OcsMwf7M1XO2+Eg9Y7bPjquJJ4hYE92KOGF86ts7/kkVvYX+vg"
    "v6Nj9n5vp7gVPeZLXjBf4geRKx7fpUHH8/sxKbKTpEhYMt40KxIpUx8WxLkTI9KOTc6MxP"
    "X3mHAqNOFUaDKF456USRECyU6jzAXV0hxKH08Rc8HgcYLBFNK/Dg3gTkF3xLMUBD8gG2B2"
    "ycIkLjDMMeUGTBc8oFnCzYyNZztmQvYrE8L/xmBNLy8K+ldXuq3mKS1W0yuL1Xjplm0Gzd"
    "sDK1VwlXGvDuqLag6oL6qpULMuGepjPi8d+sPM7KTl82IBZ56CkR9ebVow2moYuh8FI2kT"
    "HctquyirNXQduW4P6diR451EgqWRIeTUmhOSLw0RuzYCzEpQbAAeSaWvNgETTF8DQDCzKC"
    "Q0kFu8A97kLsBzYpk/EA0GIWHx3wIQZFl0jnjgWBCPLYeTTXP8u0SUbyuV8/N65ez84rJW"
    "rddrl2dBaBnvyooxm+0PLMyUnMDyuPOY2CokscW22BpRUGTYKwyBDiTkSc2+rxDzFOupkG"
    "Pqk2Qf5XVleycYEi3zSemyPSYQ9iuB8AM5rh8Q5j3gRoa8iqKQckm5VstzSblWS7+kzPqU"
    "ggXdVSsg7JO/QnTLua6AlzOugJfjV8ApR+IfWWSE/+53Oyl5g3CI6jFNnYBf/MO0A0Q7A1"
    "wGRnaBU61lKv6PTdBMKhq9sD/jDkkxY/I3jp6cMy+NBYXviFP3RZsos5KnXZblH4iu7nq9"
    "VmegSRFIVFlK3kLEncuSXAGSbyTteDGerwxcqncayM08xqvf6rUbN4CqM+jc3dyAz732ba"
    "P3FXxqfc1chvisSCxE+eBm/QVlcg0+uFHZiu9QCuIr7lUEsvcvFBTETvoCIzgv+5eHcvO8"
    "btz0W6sxlmp4W9OxGEtmKh7QIlTnSESZZCY0pm0aGyHbC08L7xPiv6Rq5QPlIpaDnmhv0u"
    "Z60iJsfTi087qOymcq8xAsaQUCIGkJojFlDdxKe/Vk9prpQAQ8qemOwhEXXkIBkx511Jg7"
    "sU5L2119gqZQ2PF7WYDrfDIuTcg8BaZ8SwkJX0ke8iX2o6dYaTHhvcoUExI7Gm1mteSLhd"
    "kvv2XWe+IUX9hNyCm64sz13noI31z7IwMjeVGDtXotZq5DtDa21wk+I1iE7zNqw/PLt6Nd"
    "+gwVlmSnIetQ8r8hWdtxJNvyPfFihX6FtNTfidKdipF4zURntyd2TlxMUaPwarHBv3JXQ+"
    "Xu32IoiPvO44zcQTPTII09J0XMnG6LEbPgFxVOEl9JeBvyT7J8yube+O7c0v3L7w6qUMQK"
    "wjl2cVjTW19z6Rzr7uVdBBGREtimG2nLoYQQYOA0zyrGsP62yFgihzYXVNBffiaL3oaQtS"
    "YoL+2zn4oUP2IJI78mUFSY7BUFVK7lYtNUkUR5NKvefMEdlUOb86mep2DP98//A9SiCwY="
)
