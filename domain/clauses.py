"""The ids by which the library's social media policy is cited; what each asks is told in the policy file."""

GP_1 = "GP-1"
GP_2A = "GP-2a"
GP_2B = "GP-2b"
GP_2C = "GP-2c"
GP_2D = "GP-2d"
GP_2E = "GP-2e"
GP_2F = "GP-2f"
GP_2G = "GP-2g"
GP_2H = "GP-2h"
PU_1 = "PU-1"
PU_2 = "PU-2"
PU_3 = "PU-3"
PU_4 = "PU-4"
PU_5 = "PU-5"
PU_6 = "PU-6"
EU_1 = "EU-1"
PR_1 = "PR-1"
PR_2 = "PR-2"
PR_3 = "PR-3"
PR_4 = "PR-4"
PR_5 = "PR-5"
PR_6 = "PR-6"
PR_7 = "PR-7"
PR_8 = "PR-8"
PR_9 = "PR-9"
PR_10 = "PR-10"
PR_11 = "PR-11"
PR_12 = "PR-12"
PR_13 = "PR-13"
PR_14 = "PR-14"
PR_15 = "PR-15"
PR_16 = "PR-16"
PR_17 = "PR-17"
PR_18 = "PR-18"
PR_19 = "PR-19"
PS_1 = "PS-1"
PS_2 = "PS-2"

GENERAL = (GP_1, GP_2A, GP_2B, GP_2C, GP_2D, GP_2E, GP_2F, GP_2G, GP_2H)
PUBLIC_USE = (PU_1, PU_2, PU_3, PU_4, PU_5, PU_6)
EMPLOYEE_USE = (EU_1,)
PROCEDURES = (
    *(PR_1, PR_2, PR_3, PR_4, PR_5, PR_6, PR_7, PR_8, PR_9, PR_10),
    *(PR_11, PR_12, PR_13, PR_14, PR_15, PR_16, PR_17, PR_18, PR_19),
)
PERSONAL_USE = (PS_1, PS_2)
EVERY_CLAUSE = (*GENERAL, *PUBLIC_USE, *EMPLOYEE_USE, *PROCEDURES, *PERSONAL_USE)
