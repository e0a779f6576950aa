import { answerTrigger, type CustomAuthEvent } from '../core/credentials/verified-sign-in.ts'
import { live } from './http/live.ts'

/**
 * Cognito's triggers DefineAuthChallenge, CreateAuthChallenge and VerifyAuthChallengeResponse, by which people sign
 * in whom Bursar has verified without a password.
 */
export const handler = async (event: CustomAuthEvent) => ({
  ...event,
  response: answerTrigger(await live(['keyring']), event),
})
