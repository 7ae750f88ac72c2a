from tortoise import BaseDBAsyncClient

DIALECT = "postgres"
RUN_IN_TRANSACTION = True


async def upgrade(db: BaseDBAsyncClient) -> str:
    return """
COMMENT ON TABLE "xi_article" IS 'An article. The list shows only published ones.';
COMMENT ON TABLE "xi_comment" IS 'A comment on an article. Deleted comments stay in the table until their article is deleted.';
COMMENT ON TABLE "xi_user" IS 'A user who may write. Only the digest of the token is stored.';
COMMENT ON TABLE "xi_access_record" IS 'One read of an article. The key is a plain column because records outlive their articles.';"""


async def downgrade(db: BaseDBAsyncClient) -> str:
    return """
COMMENT ON TABLE "xi_article" IS 'An article. Only published ones are on the list.';
COMMENT ON TABLE "xi_comment" IS 'A comment below an article. Deleted ones stay for the moderators; all go with the article.';
COMMENT ON TABLE "xi_user" IS 'Somebody who may write. Of the token only its digest is kept.';
COMMENT ON TABLE "xi_access_record" IS 'One reading of an article. It holds a plain key: records outlive what they tell of.';"""


MODELS_STATE = (
    "eJztXG1z2jgQ/isaPqUzd5lAIKT3DShpuSbQIeSu7U3GI2wFPBibs0UTppf/fpJs2ZYsG/"
    "NiXlI+NUi7XvnZ1e5qV+7P0oupYeTh84aLTd1CpT/Az5INp/SPxNxvoARns9gMHcFwaHFq"
    "GCMcetiFOiYzT9DyEBkykKe75gybjk3pGzYI6M/BYIyAZXoYeGPn2QOObS3AbD4kQ2NkkJ"
    "/IO6cPNRydPNW0R2vyz23z3znSsDNCeIxc8pR/HsmwaRvoBXn852yiPZnIMgQsTIM+gI1r"
    "eDFjYx0b3zBCurShpjvWfGpHxLMFHjt2SG3aDK8RspELMaKPx+6cAmPPLStAkWPlrzQi8Z"
    "cY4zHQE5xbFF7K7S8gGitpWrc30O7bA00rJaDnHDE0gyHdsanayFI99vYjuoTfK+VqvXp9"
    "eVW9JiRsmeFI/dUXHQHjMzJ4uoPSK5uHGPoUDOMIVN1FFAkN4iS4H8gMNqdIjbDIKSFtBK"
    "zn/A8Zd45yFvB8IEI+suNdQE9e0OgROw5UnoHzoHPXvh807r5QcVPP+9di+DUGbTpTYaML"
    "afTs6h0dd8gW9Xdv+BDwd2fwCdCf4Huv22bwOh4euUxiRDf4XqJrgnPsaLbzrEEjZp18lK"
    "NGKCOtz2fGmloXOU9aPxStc4xiag9WH2nds+ajpL5bY+iqdc3pJS0TtNbR637d6BS+aBay"
    "R3hMfl5fZGj1r0a/9anRP7u+kDTVDWYqbOpVgBab2A+6ebENGbYD7r43jQBv5SIPvoQqFW"
    "A2JyI8dIxFEuABeklJADj9m8A3ywm1vw4E/8NRPLtrfH0n+KDbXvcjJ4+h3rrtNSWww8Qt"
    "iXjTcSwEbTXoAp+E/JAwFgV9OLJb7Ju93q2AfbMjg/tw12z3z8pMEYTIxCiel0WIE789dl"
    "xtpRxX4Fme6q4H9rElu/T48DRR5ro+XkmAbxwXmSP7M1ownDtkTdDWVd6ZH8cePLQlN7JL"
    "eF+5AfHRSL4Ln8MTl2hX5O0NZCHfbluN+1bjQ7vEUB5CffIMXUNLgVt3plNERSd9SMB587"
    "mPLMheIx3rlv+Y4/XaCbwZek7FiaEm4Jmcmlam8gi04Yi9EpVNJcl4qcoIMSyzywh6jHB5"
    "GQEE5OSYD2CsJvCBGY7Bpz1ANtYCmDYgR3/AxIG5jU2L/jZdzgdMD/gmZyhKDsXKOpUnTu"
    "WJI/EuR3pQPZUnfkWt5ylPWOYP+uarnTgipvWOG4E5rqRe7mCP9rARRLw19pfIuYX9tQ7+"
    "ezpoH/Z2SnrRU8VkhxWTIJ9c8QAvMJ1O8KeyyF7KIlHLeNO6SKxNfVwQ5y6NCDtWXRtJ2u"
    "+p5FRoyanQcgrDXVVL4QrJLqTMOVWOKgqlBc9jB0zhAjy7JH07BzTVZyUMwxyRxwPnyS9o"
    "OBNk0+KFh4klKeskGz7tVAk5rEoI+zcBa3qDkdO/ueZtNU9zsZreW6wmm7fU/DV/S6zUw5"
    "X43hzUV9UcUF9VU6GmUyLUp3peOvTHWdlJq+clEs48LaMgvdq0ZbTVNPQwWkbCJjo11vbR"
    "WGvoOvK8PtIdV8x3lARLM0PIqDU3Il+aIvZsBKiXoHkblO7eTtCCZnAQzCyCCPAdJxgiHZ"
    "JEEPhSPODMsWX+QGITTHGzt1BJW04tm+boV8ku31cql5f1ysXl1XWtWq/Xri/CNDM5lZVv"
    "NjsfacopBITlOeipyFVIkYtutDUyohjbG0yHjiT9Sa3Er5D/FBu1kGvqY3W88qeyIxWMiJ"
    "bFp3TdnooJh1VM+IFcL0gO8x52YyxvokEkXVmu1fJcWa7V0q8s0zmpeUF21QoIB+RvEN1y"
    "rgvh5YwL4eXkhXAiEQfHFxHhP+973ZQaQsQiR0xTx+A/9gHbEaKdAS4FI7vZKfc1pfhHH9"
    "BUNZB2HM9YQJLcmPi9o6/nzAtkYRM8FtQD1Sp1VvKty7KCY1Hrod9vdweakIHEjaXkL4Tf"
    "wCyJ3SDxdtKeF+PHyjCk+qeB3MITsu7b/U7jFhBzBt2H21vwpd+5a/S/gc/tb5nL4B8Z8Y"
    "VIn9+sv6BMqeHnN7JY/lVKQXL5HYtQ98HlgoLECd9jhOfl4CJRbpk3jdv79mqChX7e1mws"
    "IZK6iglaROYcyyhVbkKj1qZRDtFf+Fb4qMj/VJ3LCZHCl4NeyKxqc71oMbEBHNplXUflC1"
    "l4BJawAg6QsAQ+mLIG5qX93jJ9zXQgQpnEdcfhSCpP0cwkRx0551b2bMm4p4/RFHI//igq"
    "cI3vx4Xn0UDhELElRe1XUId4o/0UKFZaTHTFMsWDJE5Gmzkt8Y5h9stvWfSBxMQdRwmxQl"
    "ectz7YABF464Az9JFXNVir1xLeOkJrY3etCBnhIoKQURteXr9/2mfIkGFRxwzRhtT/I8na"
    "cUPtyw8kiBX7RdLSgMfbeDJI/D2V0e5AHB2/pCJn4dVik3/p3oYsPbjRUJD0vScauZNmak"
    "Ea/a3KmBndFjNmLi+uHJVcQXkbyle5vsTu3vAe3dL9y+4RylAkmsM5dnHU01vfcskz1t3L"
    "+8giYi2wTTfSlnMJrsAwal5UjGH9fZHJRA5rLrStv/xoFr8fIdpO2GQ65GgVa4EkykZBZ6"
    "CobNlvDchSy8UWq2Ll8nhtvbnDfZXDpvOZnm9gr4+v/wOccRND"
)
