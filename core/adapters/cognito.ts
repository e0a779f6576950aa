import { createHmac } from 'node:crypto'
import {
  AdminCreateUserCommand,
  AdminDeleteUserCommand,
  AdminInitiateAuthCommand,
  AdminRespondToAuthChallengeCommand,
  AdminSetUserPasswordCommand,
  type AuthenticationResultType,
  CognitoIdentityProviderClient,
  GetTokensFromRefreshTokenCommand,
  RevokeTokenCommand,
} from '@aws-sdk/client-cognito-identity-provider'
import { DomainError, rateLimited } from '../errors.ts'
import type { Identity, Tokens } from '../ports.ts'
import { awsClient } from './aws-clients.ts'

/** The user pool and its one confidential app client. */
export interface CognitoConfig {
  userPoolId: string
  clientId: string
  clientSecret: string
  /** By default a client with region and endpoint from the environment. */
  client?: CognitoIdentityProviderClient
}

/**
 * `Identity` on a Cognito user pool whose user names are account ids. Besides the port's own errors it
 * throws `temporarily_unavailable` for throttling and any lost or broken answer, and rethrows the SDK's
 * error if the deployment does not match its pool (wrong secret, client or flow).
 */
export function cognitoIdentity(config: CognitoConfig): Identity {
  const { userPoolId: UserPoolId, clientId: ClientId, clientSecret: ClientSecret } = config
  const client = config.client ?? awsClient(CognitoIdentityProviderClient)

  const user = (accountId: string) => ({ UserPoolId, Username: accountId })
  const putPassword = (accountId: string, password: string) =>
    client.send(new AdminSetUserPasswordCommand({ ...user(accountId), Password: password, Permanent: true }))

  return {
    async enroll(accountId, password) {
      await askCognito(
        client.send(new AdminCreateUserCommand({ ...user(accountId), MessageAction: 'SUPPRESS' })),
        undefinedFor('UsernameExistsException'),
      )
      await askCognito(putPassword(accountId, password), refusedPassword('temporarily_unavailable'))
    },

    ...signIns(config, client),

    async refresh(refreshToken) {
      const answer = await askCognito(
        client.send(
          new GetTokensFromRefreshTokenCommand({ RefreshToken: refreshToken, ClientId, ClientSecret }),
        ),
        undefinedFor(...refusedToken, 'RefreshTokenReuseException'),
      )
      return answer && toTokens(answer.AuthenticationResult, refreshToken)
    },

    async setPassword(accountId, password) {
      await askCognito(putPassword(accountId, password), refusedPassword('not_found'))
    },

    async revoke(refreshToken) {
      await askCognito(
        client.send(new RevokeTokenCommand({ Token: refreshToken, ClientId, ClientSecret })),
        undefinedFor(...refusedToken, 'UnauthorizedException', 'UnsupportedTokenTypeException'),
      )
    },

    async remove(accountId) {
      await askCognito(
        client.send(new AdminDeleteUserCommand(user(accountId))),
        undefinedFor('UserNotFoundException'),
      )
    },
  }
}

/** How an account gets the tokens of a new session. */
function signIns(
  { userPoolId: UserPoolId, clientId: ClientId, clientSecret }: CognitoConfig,
  client: CognitoIdentityProviderClient,
): Pick<Identity, 'signIn' | 'signInVerified'> {
  const secretHash = (accountId: string) =>
    createHmac('sha256', clientSecret)
      .update(accountId + ClientId)
      .digest('base64')

  return {
    async signIn(accountId, password) {
      if (password === '') return undefined // Cognito treats an empty password as a missing parameter.
      const SECRET_HASH = secretHash(accountId)
      const answer = await askCognito(
        client.send(
          new AdminInitiateAuthCommand({
            UserPoolId,
            ClientId,
            AuthFlow: 'ADMIN_USER_PASSWORD_AUTH',
            AuthParameters: { USERNAME: accountId, PASSWORD: password, SECRET_HASH },
          }),
        ),
        (error) => (isLock(error) ? 'locked' : wrongPassword(error)),
      )
      if (answer === 'locked') return answer
      // A challenge instead of tokens means that the user has no password of its own yet.
      return answer?.AuthenticationResult && toTokens(answer.AuthenticationResult)
    },

    async signInVerified(accountId, answerOf) {
      const name = { USERNAME: accountId, SECRET_HASH: secretHash(accountId) }
      const refused = undefinedFor('NotAuthorizedException', 'UserNotFoundException')
      const begun = await askCognito(
        client.send(
          new AdminInitiateAuthCommand({
            UserPoolId,
            ClientId,
            AuthFlow: 'CUSTOM_AUTH',
            AuthParameters: name,
          }),
        ),
        refused,
      )
      if (!begun) return undefined
      const { nonce } = begun.ChallengeParameters ?? {}
      if (begun.ChallengeName !== 'CUSTOM_CHALLENGE' || nonce === undefined)
        throw new Error('Cognito sent no nonce: has the user pool its triggers for the custom flow?')
      const answer = await askCognito(
        client.send(
          new AdminRespondToAuthChallengeCommand({
            UserPoolId,
            ClientId,
            ChallengeName: 'CUSTOM_CHALLENGE',
            Session: begun.Session,
            ChallengeResponses: { ...name, ANSWER: answerOf(nonce) },
          }),
        ),
        refused,
      )
      return answer?.AuthenticationResult && toTokens(answer.AuthenticationResult)
    },
  }
}

/** Cognito has no name of its own for a user whom too many wrong passwords have locked. */
const isLock = ({ name, message }: Error): boolean =>
  name === 'NotAuthorizedException' && /attempts exceeded/i.test(message)

const wrongPassword = undefinedFor(
  'NotAuthorizedException',
  'UserNotFoundException',
  'PasswordResetRequiredException',
  'UserNotConfirmedException',
)

const refusedToken = ['NotAuthorizedException', 'UserNotFoundException', 'InvalidParameterException']

/**
 * Awaits one call and passes a refusal to `refused`.
 * @throws DomainError `temporarily_unavailable` for an unknown outcome
 */
async function askCognito<T, U>(answer: Promise<T>, refused: (error: Error) => U): Promise<T | U> {
  try {
    return await answer
  } catch (error) {
    if (!(error instanceof Error)) throw error
    if (isThrottle(error)) throw rateLimited({ scope: 'all', retryAfterSeconds: undefined }, error)
    if (isInconclusive(error)) throw new DomainError('temporarily_unavailable', { cause: error })
    return refused(error)
  }
}

/** Turns the named refusals into undefined. A refusal of the client's secret is a fault of the deployment. */
function undefinedFor(...names: string[]): (error: Error) => undefined {
  return (error) => {
    if (!names.includes(error.name) || /secret/i.test(error.message)) throw error
    return undefined
  }
}

function refusedPassword(absentUser: 'not_found' | 'temporarily_unavailable'): (error: Error) => never {
  return (error) => {
    if (error.name === 'UserNotFoundException') throw new DomainError(absentUser, { cause: error })
    if (
      error.name === 'InvalidPasswordException' ||
      error.name === 'PasswordHistoryPolicyViolationException' ||
      // Cognito's own pattern forbids white space at either end and more than 256 characters.
      (error.name === 'InvalidParameterException' && /'password'/i.test(error.message))
    ) {
      throw new DomainError('password_refused', { cause: error })
    }
    throw error
  }
}

/** Cognito has refused the call before it did anything. */
const isThrottle = ({ name }: Error): boolean =>
  name === 'TooManyRequestsException' || name === 'ThrottlingException'

const transientNames = new Set([
  'TimeoutError',
  'LimitExceededException',
  'InternalErrorException',
  // Our triggers never refuse a user by failing; if one fails, it is broken or throttled.
  'UnexpectedLambdaException',
  'UserLambdaValidationException',
  'InvalidLambdaResponseException',
])

function isInconclusive(error: Error & { code?: unknown; $metadata?: { httpStatusCode?: number } }): boolean {
  if (transientNames.has(error.name)) return true
  const status = error.$metadata?.httpStatusCode
  // Without a status no answer arrived (`code` is the socket's); below 400 the answer was unreadable.
  if (status === undefined) return typeof error.code === 'string'
  return status < 400 || status === 429 || status >= 500
}

/** `sent` is the refresh token of the request: without rotation, Cognito's answer has no refresh token. */
function toTokens(result: AuthenticationResultType = {}, sent?: string): Tokens {
  const { AccessToken, RefreshToken = sent, ExpiresIn } = result
  if (!AccessToken || !RefreshToken || !ExpiresIn) throw new Error('Cognito answered without tokens')
  // The token needs no verification, because it comes from Cognito itself over TLS.
  const payload = Buffer.from(AccessToken.split('.')[1] ?? '', 'base64url').toString()
  const { username, origin_jti } = JSON.parse(payload) as Record<string, unknown>
  if (typeof username !== 'string' || typeof origin_jti !== 'string') {
    throw new Error('Access token without username or origin_jti: is token revocation enabled on the client?')
  }
  return {
    accessToken: AccessToken,
    refreshToken: RefreshToken,
    expiresInSeconds: ExpiresIn,
    accountId: username,
    sessionId: origin_jti,
  }
}
