import type { PreTokenGenerationV2TriggerEvent } from 'aws-lambda'

/**
 * Cognito's pre token generation trigger, version V2_0. It removes the only scope that a password sign-in
 * grants, so that an access token works with Bursar alone. With that scope the holder could call Cognito
 * directly (change the password, enrol a second factor, delete the user) and bypass every rule of ours.
 */
export const handler = async (event: PreTokenGenerationV2TriggerEvent) => ({
  ...event,
  response: {
    claimsAndScopeOverrideDetails: {
      accessTokenGeneration: { scopesToSuppress: ['aws.cognito.signin.user.admin'] },
    },
  },
})
