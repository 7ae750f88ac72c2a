from tortoise import BaseDBAsyncClient

DIALECT = "postgres"
RUN_IN_TRANSACTION = True


async def upgrade(db: BaseDBAsyncClient) -> str:
    return """
CREATE TABLE "xi_idempotency_key" (
    "id" VARCHAR(64) NOT NULL PRIMARY KEY,
    "fingerprint" VARCHAR(64) NOT NULL,
    "created_at" TIMESTAMPTZ NOT NULL,
    "expires_at" TIMESTAMPTZ NOT NULL,
    "status" INT,
    "headers" JSONB,
    "body" BYTEA
);
CREATE INDEX "idx_xi_idempote_expires_f3dc2d" ON "xi_idempotency_key" ("expires_at");
COMMENT ON TABLE "xi_idempotency_key" IS 'A key by which a client may repeat a request, and the response that it gets again.';"""


async def downgrade(db: BaseDBAsyncClient) -> str:
    return """
DROP TABLE "xi_idempotency_key";"""


MODELS_STATE = (
    "eJztXFtz2jgU/isantKZbiYhENJ9Mylp2SbQIWS36U7GI2wBnhib2qIJ081/X0m2bEuWwV"
    "zMrTwlSEc+8nekc9ORf5VeLR0jH59qHrYMG5X+BL9KDhzRf1J970EJjseJHtqCYc/m1DBB"
    "2POxBw1MevrQ9hFpMpFveNYYW65D6TUHhPSnoDtEwLZ8DPyh++ID17GnYDzpkaYhMslP5J"
    "/Sh5quQZ5qOYMlx08c68cE6dgdIDxEHnnKv0+k2XJM9Ip8/nP8rPctZJsCFpZJH8DadTwd"
    "s7amg28YIZ1aTzdcezJyYuLxFA9dJ6K2HIbXADnIgxjRx2NvQoFxJrYdosixCmYakwRTTI"
    "wxUR9ObAovHR1MIG4r6Xqr3dXvG11dL6Wg5yMSaIZNhutQsZGp+uztB3QKf5TPK7XK1cVl"
    "5YqQsGlGLbW3gHUMTDCQwdPqlt5YP8QwoGAYx6AaHqJI6BCnwf1IerA1QmqExZES0mY49J"
    "T/I+POUZ4FPG+IkY/X8SagJy9otsk6DkU+A+du865x39XuvlJ2I9//YTP8tG6D9pRZ61Rq"
    "Pbl8R9tdskWD3Rs9BPzT7H4G9Cf43m41GLyujwce4xjTdb+X6JzgBLu6477o0EysTt7KUS"
    "OUsdQnY3NJqYsjj1LfFalzjBJiD2cfS923J4O0vK+H0FPLmtNLUiZoLSPX7arREXzVbeQM"
    "8JD8vDqbIdW/tc71Z61zcnUmSaoV9pRZ15sALbZwYHTzYhsNWA+42940Arzlszz4EqpMgF"
    "mfiHDPNadpgLvoNcMB4PQHge8sJdT41hX0D0fx5E779k7QQbft1idOnkD9+rZdl8COHLc0"
    "4nXXtRF01KAL4yTke2RgUdBHLZvFvt5u3wrY15syuA939Ubn5JwJghBZGCX9shhxoreHrq"
    "cv5OMKY+a7usuBvW/OLg0f+s9KXzfAKw3wjesha+B8QVOGc5PMCTqGSjvzcOzBR2tSI5uE"
    "940vIN4a8/fgSxRxieuKvL2JbBSs22vt/lr72CgxlHvQeH6BnqlnwG24oxGirNM6JBx586"
    "WDbMheIxvr6+Ax+6u1U3gz9Nyym0BNwDPdNSqP5BbowAF7JcqbcpLxUqUREljOTiMYCcL5"
    "aQQQkpMwH8BETuAjWzgm7/YB2VhTYDmAhP6AsQMTB1s2/W15fBywfBAsOVORciiW1zE9cU"
    "xP7Il22dNA9Zie+B2lnic9YVs/6ZsvFnHEg5YLN8LluJB4uYLd22AjtHhL7C9x5Br21zL4"
    "bynQ3u3tlNaix4zJBjMmoT+5YAAvDDpG8Me0yFbSIvGR8ap5kcQx9X5BnDs1IuxYdW4kvX"
    "6PKadCU06FplOaJhqNXYwcY0qkVVJlVSSS9/OSK1ZMrz+HA3IkWQgp6E3By9AyhgACw7Zo"
    "GmQEp8BDYxLskjYPEaH7+D2AjskSH8SdGBPsEflBCCwMBgj7AA6IKFS5lSJYrDmlkn2kpl"
    "T4+39YeVnJcZh2Wck8S6Nds5MsfTIZ5I290DjmxVsadhBuYzHQH/NZh5vZyJPPQq9jizxt"
    "CamLIzcj9S34B7su5FzxNnHh8ERx2pUZqMQDlopSdix1su7Qb0jUAfIUeP51326pAU0Mkb"
    "eKZWDwHytQ3T9kZ8BGsZidy5DTFtLCpw+QcxnqxFHdcqA3XSh11JsS9/eg8K6HEEZ4E7jr"
    "zZbWeVQnj+oKyOuP3YamCsm3FOGwyFIV1/CQc3Y0M+FUOUIYSkuiC5eFFC+ehdEpoCafBR"
    "KmNSCPB24/OLJ1n5FDj2d9TGJl5Unwik87nvXu1lkv+7tA/MHpDy7iq+Qpn6xkV09W0uWp"
    "dPnrwZZYBGJ53MFBfYzwjhHeshHeAvY7lWxftShurYn23SiKEzbRsXQwA6VCPUHNMJDvd5"
    "DheqK/oySY6xlCRq17MflcF7Ht0IQyNKnfBqXbhTQ5TTw4CMY2QQQEihP0kAGJIwgCLj5w"
    "J9i2fiKxzE9xd7FQTmt2LevW4HfxLj+UyxcXtfLZxeVVtVKrVa/OIjcz3TXL36w3P1GXUz"
    "AI833Q4zF+IbkcutGW8IgSww7QHdoT9ycz97kr+QsNeZYxVNuroGu2pYIx0Tz7lC3bYzJh"
    "t5IJP5Hnh85h3mA3MeQAzzLL1WqeS5nVavalTNonlWeRXbUAwiH5AaJ7nuvK6/mMK6/n6S"
    "uvhCNGqjP57BOQxJCVTkB2De1NHIFs254xgySpMfGLLoGcZ16Ricp8E0Y9FK1SZqVgddl2"
    "GBZdP3Q6jVZXFzyQ5GIpBRPhd8xKYr2beP9iy5MJbGVkUoNoIDfzFK/7Rqep3QKynEHr4f"
    "YWfO0077TOI/jSeJw5Df4ZBT4R6QMDy09oJtfoAwMyW37vviC+/Cgwkn1YPl0QO+HGeRQv"
    "h1clcvO80W7vG4sxFioW17bGUiypqnhmdYfhck54lCo1odPVxqsKE/oiWIVPCv9PVZv5TL"
    "jw6aBX0qvaXK96gm0Ih35RM9D5mcw8BkuYAQdImAJvzJgD09JB9Sx9zWwgIp5EdSfhSAtP"
    "cZhJQh3Z51ZWpZJ23xiiEeR6/EkU4BJfyBKeRw2FS9iWFLlfQRzind2joVhoMvElsgwNko"
    "qMVlNa4i2q2S+/ZtY7YhM3bCXEDF1x2npnDUSorcORkY68rMJqrZrS1jFaK6trhcmIJhGa"
    "jGrv4upDf5smQ4ZFbTPENaT+5uLSdkOty3fEiBX7zYW5Bo8f48kgKe5RKA2fuAWlU/2Cdr"
    "9UHL9Z5jtl6cUS5lUnsxjvuMJWrYDXbFwT9afJVE29OI6yHQ1qC9fKbiEDw7ekzqXevzCN"
    "sikr98SaKES7pxRYEReb5uot6V6YrL64ms6hs7bmp/EaO1l/VYrNXUhlZ7+Z9swd89MVpN"
    "PfqoCf0a0x4Of8ksJR8RWEtyL/XHt7xTLguduYlUHLUKRqW3Ls4rgkYfmVS56x7F7eRhCU"
    "OMEv3vIvZKm4ACOn/6xs9mofioyFcqzmQquS5meWkuVd4tqJzsh32VolTnBTWe/wYLOoYD"
    "842ZS5nheba0+c9mX5m0XvqxxrOt/SCxbY29Pb/zbIobg="
)
