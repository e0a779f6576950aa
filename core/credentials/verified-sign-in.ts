import { timingSafeEqual } from 'node:crypto'
import type { Ids, Keyring } from '../ports.ts'

/**
 * Sign-ins without a password, for accounts whose holder Bursar itself has verified. The vault runs Cognito's custom
 * flow with our trigger: it sends a fresh nonce, and gives tokens for the MAC of the account and this nonce, once.
 *
 * Who can start a session this way: whoever has the root secret, to compute the MAC, and in addition either the
 * app client's secret or the permission `AdminInitiateAuth`. Only functions that may sign people in anyway have all
 * of them. Cognito opens the flow to its public API too, but without both secrets that leads nowhere: a wrong
 * answer ends the attempt, and nothing of a right one can be used again, because the nonce is Cognito's to choose
 * again. A session that starts here is still refused until the account lists it, as every session.
 */
export const verifiedAnswer = ({ keyring }: { keyring: Keyring }, accountId: string, nonce: string): string =>
  keyring.mac(PURPOSE, accountId, nonce).toString('base64url')

const PURPOSE = 'mac:verified-sign-in'

/** The answers of functions that have either of the live root secrets in use, as some have while a deployment is under way. */
const rightAnswers = ({ keyring }: { keyring: Keyring }, accountId: string, nonce: string): string[] =>
  keyring.macs(PURPOSE, accountId, nonce).map((mac) => mac.toString('base64url'))

/** Cognito's three triggers of a custom flow, as far as they are read here. */
export interface CustomAuthEvent {
  triggerSource: string
  userName: string
  request: {
    /** True for a user who does not exist; the flow then goes on for appearance's sake. */
    userNotFound?: boolean | undefined
    session?: { challengeName?: string; challengeResult?: boolean }[]
    privateChallengeParameters?: Record<string, string>
    challengeAnswer?: string
  }
  response: object
}

/** The response of the trigger: one challenge, one answer, then tokens or the end. */
export function answerTrigger(deps: { keyring: Keyring; ids: Ids }, event: CustomAuthEvent): object {
  const { triggerSource, userName, request } = event
  switch (triggerSource) {
    case 'DefineAuthChallenge_Authentication':
      return nextStep(request)
    case 'CreateAuthChallenge_Authentication': {
      const nonce = deps.ids.hex(32)
      return { publicChallengeParameters: { nonce }, privateChallengeParameters: { nonce } }
    }
    case 'VerifyAuthChallengeResponse_Authentication': {
      const nonce = request.privateChallengeParameters?.nonce
      const isRight =
        nonce !== undefined &&
        request.userNotFound !== true &&
        rightAnswers(deps, userName, nonce).some((right) => isSame(String(request.challengeAnswer), right))
      return { answerCorrect: isRight }
    }
    default:
      throw new Error(`${triggerSource} is not a step of the custom flow.`)
  }
}

function nextStep({ session = [], userNotFound }: CustomAuthEvent['request']) {
  const [first, second] = session
  if (!first) return { challengeName: 'CUSTOM_CHALLENGE', issueTokens: false, failAuthentication: false }
  const isAnswered = !second && first.challengeName === 'CUSTOM_CHALLENGE' && first.challengeResult === true
  const isPassed = isAnswered && userNotFound !== true
  return { issueTokens: isPassed, failAuthentication: !isPassed }
}

function isSame(sent: string, right: string): boolean {
  const [a, b] = [Buffer.from(sent), Buffer.from(right)]
  return a.length === b.length && timingSafeEqual(a, b)
}
