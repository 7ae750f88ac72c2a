from tortoise import BaseDBAsyncClient

DIALECT = "postgres"
RUN_IN_TRANSACTION = True


async def upgrade(db: BaseDBAsyncClient) -> str:
    return """
CREATE TABLE "xi_outbox" (
    "id" BIGSERIAL NOT NULL PRIMARY KEY,
    "queue" VARCHAR(40) NOT NULL,
    "message" TEXT NOT NULL,
    "created_at" TIMESTAMPTZ NOT NULL
);
COMMENT ON TABLE "xi_outbox" IS 'Jobs that a transaction has enqueued and that are not in Redis yet.';"""


async def downgrade(db: BaseDBAsyncClient) -> str:
    return """
DROP TABLE "xi_outbox";"""


MODELS_STATE = (
    "eJztXFtv2zYU/iuEnzqgCxLHTtK92anbeU3swXG3tUMh0BJjE5ElT6KbGFv++0hKlESKku"
    "WLfKueEpOHOtR3Ds+NpP6tvWCDIJ+ctTyCTRvVfgH/1hw4Zf+k+t6CGpzNEj2shcCRLahh"
    "gnDkEw+ahPY8QttHtMlCvunhGcGuw+hbDgjpz8BwgoCNfQL8ifvsA9exF2A2H9GmCbLoT+"
    "SfsYdarkmfip3xmuPnDv5njgzijhGZII8+5e9vtBk7FnpBvvg5ezIeMbItCQtssQfwdoMs"
    "Zryt65APnJBNbWSYrj2fOjHxbEEmrhNRY4fjNUYO8iBB7PHEmzNgnLlthygKrIKZxiTBFB"
    "NjLPQI5zaDl40OJhC31Qyj1x8aD52hYdRS0IsRCTTDJtN1mNjoVH3+9mM2hZ/rF43rxs3l"
    "VeOGkvBpRi3XrwHrGJhgIIenN6y98n5IYEDBMY5BNT3EkDAgSYP7nvYQPEV6hOWRCtJWOP"
    "RM/KPiLlDOA140xMjHerwL6OkLWn2qx6HIc3Aedu87D8PW/e+M3dT3/7E5fq1hh/XUeetC"
    "aX1z9RNrd+kSDVZv9BDwZ3f4K2A/wdd+r8PhdX0y9jjHmG74tcbmBOfENRz32YBWQjtFq0"
    "CNUsZSn8+sNaUuj6ykfihSFxglxB7OPpa6b8/HaXnfTqCnl7WgV6RM0VpHrvs1o1P4YtjI"
    "GZMJ/XlzniPVP1qD219bgzc354qkemFPnXe9StASTAKnWxTbaMB2wN33opHgrZ8XwZdSZQ"
    "LM+2SER661SAM8RC8ZAYCgPwl884xQ56+hZH8Eim/uW3/9JNmgu37voyBPoH57128rYEeB"
    "WxrxtuvaCDp60KVxCvIjOrAs6KOW3WLf7vfvJOzbXRXcz/ftzuDNBRcEJcIEJeOyGHFqty"
    "euZ6wU40pjloe664F9bMEuSx8en7SxboBXGuAProfw2PmEFhznLp0TdEyddRbp2GcfbcmM"
    "7BLeV6FAojXm78HnKOOS9Yq+vYVsFOjtbevhtvW+U+Moj6D59Aw9y8iA23SnU8RYp21IOP"
    "LDpwGyIX+NbKxvg8ccr9VO4c3Rc+tuAjUJz3TXtD5VW6ADx/yVGG/GScVLV0ZIYJlfRjAT"
    "hMvLCCAkp2k+gImawHuuOJbo9gFdWAuAHUBTf8DZgblDsM1+Y0+MA9gHgcpZmpJDubyq8k"
    "RVnjgS63KkiWpVnvgRpV6kPGHj7+zNV8s44kHrpRuhOq4kXmFgjzbZCD3eGutLHrmF9bUO"
    "/ntKtA97OaWtaFUx2WHFJIwnV0zgpUFVBl+VRfZSFom3jDetiyS2qY8L4sKlEWnF6msjaf"
    "2tSk6llpxKLad0LTSduQQ55oJKq6arqigkb5cVV3BMbzyFAwoUWSgpGC3A8wSbEwCBaWNW"
    "BpnCBfDQjCa7tM1DVOg+eQugY/HCBw0nZhR7RH9QAkzAGBEfwDEVha62UgaLLZdUsrfUtA"
    "b/+DcrrxoFNtOuGpl7aawrv8jySCeDvJkXOseieCvDTiJsLAf6qp51upWNIvUs9DLD9Glr"
    "SF0euRup7yE+OHQhF8q3aQhH5prdrsxEJR6wVpZyYKWTbad+E2oOkKfB87eHfk8PaGKIul"
    "SwScB//IDq8SGbAxvDIr+WoZYtFMVnD1BrGfrCURs70FusVDoaLWj4e1J4t0MII7wp3O1u"
    "rzX4oi8etTWQt78MOy1dSr6nDKc/JyP3pabLbMKupRmNG9MtTWR+c0d+kCtAKnjo+JSado"
    "EJ9AFyqALMkRUmF4zGQ8BxCdvIHSAL+2CBSDpz2dIzt5yqtPH4R9kAflevX15e188vr26a"
    "jevr5s15ZP7TXXl+oN39yFyBZLiWbxNzCa+Su0QDTjBraRQ5fdnIPnzZSJ29nCLfp8Zjlc"
    "2ExJCTgHjX+wlVopit7aeVKB5KGMALzLogQFSe80OAuaAqUMlktOB54vLK4rOHCToDTKC8"
    "nmjhMX08cB+Dk1vuE3LYKS2fuJ7+QNiGT6uOfB3WkS/+dwVXLuhPrvC7fT/O1d8IlsQqEK"
    "vjTg7qqtBb+e8d+O/UnvumZ+O3ut9+GGfjpUVU3SDIQKnUSLBlmjR7GyDT9eR4R0uwNDKE"
    "nNrwYvKlIWLfYfvK0GJxG1Q+MsD2qGkEB8HMpoiAwHCCETIhDQRBwMUH7pzY+DuST/trPm"
    "FQKqeqnnSk9aTqNF8pWzpsoa0RESWGnWA4dCThT+YW6KHUL1rIw+ZE76+CrnxPBWOiZf4p"
    "W7ZVMeGwignfkeeHwWHRZDcx5CQq18q3GZrNIt9maDazv83A+pRT2nRVrYBwSH6C6F4U+v"
    "LFRc6XLy7SX76gHAnSHc3LPgiRGLLRQYhDQ3sXJyH27c+4Q1LMmPxht0DOuTdlow26hFMP"
    "RauVWS3QLtsO06Lbz4NBpzc0pAgkqSy1YCLiqnlNPvYuX8Pc82QCXxm51CAbKMw8xeuhM+"
    "i27gBVZ9D7fHcHfh9071uDL+BT50vuNMTXlMRElO8MrT+hXK7Rd4ZUtuLzOyXxFSeCItmH"
    "u54lsZM+PBPly+GNycI8P7TuHjqrMZYuLmxNx1Ismal44tcPQnVORJQ6M2EwbROXCxL2It"
    "DCb5r4T3dF44lyEdNBL7RXt7hejATbEA7j8tpEF+cq8xgsaQYCIGkKojFjDtxKB5do2Gtm"
    "AxHxpKY7CUdaeJrNTJrqqDG39nIKbffNCZpCYce/yQJc40OZ0vOYo3Ap25qm9iuJQ/50R+"
    "UoVppMfJc8w4KkMqPNjJZ8mTr/5bfM+kB84o69hFyhK89aH6yDCK11ODKykVdN2Lxupqx1"
    "jNbG5lrjMqJJhC6jObq8efe4T5ehwqL3GbIO6T+9vLbf0NvyA3Fi5X56aanDE9t4Kkia65"
    "RaxycvQWVXv6TVr9yR2y3zg/L08k2mTSezGu/4oo3eAG/ZuSauoSRLNe3yOKp+NLhisFV2"
    "KzkYsSQNIfXHS8usW6pxT+hEKdY9ZcDKuN+81G4p18NV8xXfnShgteLtzPWXCn3GuvFadG"
    "xeNWSNUosJicPkO4oU924685ZbAVXf0oWYpbodXhBSdVqEHgU0em+5hzg3ultVVo9S/mAR"
    "QeE6FtMgg/3WFbE43RaLWIJfUjg6vpLwNuRfyF9teLR96fLlR/tVKFLntQ7fL+0jsU+cSi"
    "k/ml0p+hICjBLZ87o1un5XZn5fQJtLPWm3vFqaPLIo60507uOQvVXiVEJqJyfcrC+rgBXs"
    "1qtcL8rdP0rsYGflUGWvqwI6XUz1AgV7/fb6P5Z/COg="
)
