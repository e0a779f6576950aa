import type { PreTokenGenerationV2TriggerEvent } from 'aws-lambda'

/**
 * Cognito's pre token generation trigger, version V2_0. Takes away the one scope of a password sign-in, so
 * that an access token opens Bursar only: with the scope its holder could talk to Cognito directly (change
 * the password, enrol a second factor, delete the user) past every rule of ours.
 */
export const handler = async (event: PreTokenGenerationV2TriggerEvent) => ({
  ...event,
  response: {
    claimsAndScopeOverrideDetails: {
      accessTokenGeneration: { scopesToSuppress: ['aws.cognito.signin.user.admin'] },
    },
  },
})
