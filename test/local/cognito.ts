/**
 * A double of the Cognito user pools API on loopback. It has the operations that Bursar's adapter calls,
 * speaks AWS JSON 1.1 with the unmodified SDK client, and issues tokens that the unmodified
 * `CognitoJwtVerifier` accepts. It holds one pool with one confidential client, set up as `sst.config.ts`
 * sets up the real ones.
 *
 * Known differences from the real service
 * - Operations: only those in `operations` below. Everything else is an UnknownOperationException, so no
 *   access token can be used against the double (GetUser, ChangePassword …), and a
 *   NEW_PASSWORD_REQUIRED challenge cannot be answered.
 * - Stricter: parameters that an operation has but Bursar does not send are refused (SerializationException;
 *   the real service ignores unknown ones); AdminCreateUser insists on MessageAction SUPPRESS; refresh by
 *   AuthFlow wants exactly REFRESH_TOKEN and SECRET_HASH.
 * - Requests must be signed for the right service and region, but the signature itself is not checked, and
 *   there is no IAM.
 * - One signing key for both kinds of token (the real pool publishes two); it never rotates.
 * - The custom flow: no SRP_A before it, no client metadata, and a `Session` is random text, kept in memory for the
 *   three minutes that are the default. After a wrong answer DefineAuthChallenge decides, as in the real service.
 * - Refresh tokens look like the real ones (five segments) and are random. The double distinguishes revoked
 *   and signed-out tokens from unknown ones only until they expire.
 * - User names are case-sensitive. There are no aliases, attributes, groups, devices, MFA, advanced
 *   security, WAF or quotas (only a fault throttles). Temporary passwords never expire, and changes are
 *   visible at once.
 * - Lock-out follows the documented schedule. Undocumented and assumed: unknown users are never locked,
 *   AdminSetUserPassword neither lifts a lock nor ends sessions, a disabled user's refresh tokens work again
 *   once the user is enabled, and a wrong password is reported before "User is disabled.".
 * - Error names are the documented ones; messages are those seen in the field where known. RevokeToken with a
 *   string that is not a token at all is undocumented: InvalidParameterException here.
 * - The trigger runs in this process without the 5 s limit. Only `accessTokenGeneration` of its answer is
 *   applied. Overrides of the service's own claims are ignored. An access token left without any scope has no
 *   `scope` claim (undocumented).
 */
import {
  createHash,
  createHmac,
  createPrivateKey,
  createPublicKey,
  generateKeyPairSync,
  randomBytes,
  randomUUID,
  scryptSync,
  sign as signBytes,
  timingSafeEqual,
} from 'node:crypto'
import type { IncomingMessage, ServerResponse } from 'node:http'
import * as z from 'zod/mini'
import { cut, type FaultControls, type OperationFault, operationFaults } from './faults.ts'
import { listen, readBody } from './http.ts'
import { DELETE_FOLDER, openState } from './state.ts'

export interface CognitoOptions {
  /** The pool's clock, epoch ms. */
  nowMs: () => number
  /** 0, the default, picks a free one. */
  port?: number
  /** The file for users, sessions, client and signing key. Without a file they are kept in memory only. */
  stateFile?: string
  /** The pre token generation trigger (V2_0): takes the event and returns the event with its response. */
  preToken?: (event: unknown) => Promise<unknown>
  /** The triggers of the custom flow, as one function: DefineAuthChallenge, CreateAuthChallenge, Verify…Response. */
  customAuth?: (event: unknown) => Promise<unknown>
  /** Default `eu-west-1`. */
  region?: string
  /** The pool is `<region>_<poolName>`; by default it has the mark of the local stack, which no deployment takes. */
  poolName?: string | undefined
}

/** An object, or JSON text for what an object cannot express, such as a duplicate key. */
type Json = Record<string, unknown> | string

export interface CognitoDouble extends FaultControls<OperationFault> {
  /** The service's endpoint, for `AWS_ENDPOINT_URL_COGNITO_IDENTITY_PROVIDER`. */
  url: string
  userPoolId: string
  clientId: string
  clientSecret: string
  /** What a real pool of this name would have as `iss`; the keys are at `jwksUri` instead. */
  issuer: string
  jwksUri: string
  publicKeyPem: string
  /**
   * Signs any claims with the pool's key; text is signed as it is. `header` is merged over
   * `{kid, alg: 'RS256'}`; the signature stays RS256.
   */
  sign(claims: Json, options?: { header?: Json }): string
  /** Creates a user with a permanent password, without a call to the API. */
  addUser(username: string, password: string): void
  /** Refuses to set this password from now on, as a pool does whose policy has become stricter. */
  refusePassword(password: string): void
  /** Signs a user in without a call to the API. @throws Error with the service's refusal. */
  signIn(username: string, password: string): Promise<{ AccessToken: string; RefreshToken: string }>
  /** User names, in order of creation. */
  users(): string[]
  /** Calls by operation since the start or `resetCalls`, including refused calls. */
  calls(): Record<string, number>
  resetCalls(): void
  /** Forgets every user and session. */
  clear(): void
  close(): Promise<void>
}

interface User {
  sub: string
  enabled: boolean
  status: 'FORCE_CHANGE_PASSWORD' | 'CONFIRMED'
  createdAtMs: number
  /** `salt.hash`, both base64. */
  password: string
  wrongTries: number
  lastTryMs: number
  lockedUntilMs: number
}

/** One sign-in, stored under the SHA-256 of its refresh token. */
interface Session {
  username: string
  sub: string
  originJti: string
  eventId: string
  authTimeSeconds: number
  expiresAtMs: number
  revoked: boolean
}

interface Pool {
  privateKeyPem: string
  clientId: string
  clientSecret: string
  users: Record<string, User>
  sessions: Record<string, Session>
}

const userSchema = z.object({
  sub: z.string(),
  enabled: z.boolean(),
  status: z.enum(['FORCE_CHANGE_PASSWORD', 'CONFIRMED']),
  createdAtMs: z.number(),
  password: z.string(),
  wrongTries: z.number(),
  lastTryMs: z.number(),
  lockedUntilMs: z.number(),
}) satisfies z.ZodMiniType<User>

const sessionSchema = z.object({
  username: z.string(),
  sub: z.string(),
  originJti: z.string(),
  eventId: z.string(),
  authTimeSeconds: z.number(),
  expiresAtMs: z.number(),
  revoked: z.boolean(),
}) satisfies z.ZodMiniType<Session>

const poolSchema = z.object({
  privateKeyPem: z.string().check(z.refine(isPrivateKey, 'no private key')),
  clientId: z.string(),
  clientSecret: z.string(),
  users: z.record(z.string(), userSchema),
  sessions: z.record(z.string(), sessionSchema),
}) satisfies z.ZodMiniType<Pool>

/** A custom flow that has sent its challenge. */
interface CustomFlow {
  username: string
  /** `privateChallengeParameters`, which the client does not see. */
  secrets: Record<string, string>
  history: { challengeName: string; challengeResult: boolean }[]
  expiresAtMs: number
}

const customFlowMs = 3 * 60 * 1000
const accessTokenSeconds = 15 * 60
const refreshTokenMs = 30 * 24 * 60 * 60 * 1000
const longestLockMs = 15 * 60 * 1000

/**
 * Starts the double. A pool without a state file, or with a new state file, uses the process's shared key.
 */
export async function startCognito(options: CognitoOptions): Promise<CognitoDouble> {
  const { nowMs, preToken, customAuth, region = 'eu-west-1', poolName = 'Local0001' } = options
  const userPoolId = `${region}_${poolName}`
  const issuer = `https://cognito-idp.${region}.amazonaws.com/${userPoolId}`
  const kept = { file: options.stateFile, schema: poolSchema, remedy: DELETE_FOLDER }
  const state = openState<Pool>(kept, () => ({
    privateKeyPem: processKeyPem(),
    clientId: randomBytes(13).toString('hex'),
    clientSecret: randomBytes(25).toString('hex'),
    users: {},
    sessions: {},
  }))
  const pool = state.value
  const key = signingKey(pool.privateKeyPem)
  let counts: Record<string, number> = {}

  // The pool, client and user of a request

  function requirePool(id: string): void {
    if (id !== userPoolId) refuse('ResourceNotFoundException', `User pool ${id} does not exist.`)
  }

  function requireClient(id: string): void {
    if (id !== pool.clientId) refuse('ResourceNotFoundException', `User pool client ${id} does not exist.`)
  }

  function requireUser(input: Input): User {
    requirePool(text(input.UserPoolId))
    return findUser(text(input.Username)) ?? refuse('UserNotFoundException', 'User does not exist.')
  }

  function findUser(username: string): User | undefined {
    return Object.hasOwn(pool.users, username) ? pool.users[username] : undefined
  }

  function requireSecretHash(username: string, given: string | undefined): void {
    const client = pool.clientId
    if (given === undefined) {
      refuse(
        'NotAuthorizedException',
        `Client ${client} is configured for secret but secret was not received`,
      )
    }
    const right = createHmac('sha256', pool.clientSecret)
      .update(username + client)
      .digest('base64')
    if (!same(given, right)) {
      refuse('NotAuthorizedException', `Unable to verify secret hash for client ${client}`)
    }
  }

  // Passwords

  const refusedPasswords = new Set<string>()

  function storedPassword(password: string): string {
    if (refusedPasswords.has(password))
      refuse('InvalidPasswordException', 'Password did not conform with policy: Password not complex enough')
    if (password.length < 8) {
      refuse('InvalidPasswordException', 'Password did not conform with policy: Password not long enough')
    }
    const salt = randomBytes(16).toString('base64')
    return `${salt}.${hashPassword(password, salt)}`
  }

  const newUser = (password: string, status: User['status']): User => ({
    sub: randomUUID(),
    enabled: true,
    status,
    createdAtMs: nowMs(),
    password: storedPassword(password),
    wrongTries: 0,
    lastTryMs: 0,
    lockedUntilMs: 0,
  })

  /** Synchronous, so that concurrent attempts are counted one after the other. */
  function checkPassword(user: User | undefined, password: string): User {
    if (!user) return refuse('NotAuthorizedException', 'Incorrect username or password.')
    const now = nowMs()
    if (now - user.lastTryMs >= longestLockMs) user.wrongTries = 0
    user.lastTryMs = now
    if (now < user.lockedUntilMs) {
      state.save()
      refuse('NotAuthorizedException', 'Password attempts exceeded')
    }
    const [salt = '', hash = ''] = user.password.split('.')
    if (same(hashPassword(password, salt), hash)) {
      user.wrongTries = 0
      user.lockedUntilMs = 0
      return user
    }
    user.wrongTries += 1
    if (user.wrongTries >= 5) {
      user.lockedUntilMs = now + Math.min(1000 * 2 ** (user.wrongTries - 5), longestLockMs)
    }
    state.save()
    return refuse('NotAuthorizedException', 'Incorrect username or password.')
  }

  // Tokens

  function sign(claims: Json, { header = {} }: { header?: Json } = {}) {
    const whole = typeof header === 'string' ? header : { kid: key.kid, alg: 'RS256', ...header }
    const signed = `${base64Json(whole)}.${base64Json(claims)}`
    return `${signed}.${signBytes('RSA-SHA256', Buffer.from(signed), key.private).toString('base64url')}`
  }

  async function issue(session: Session, user: User, trigger: string) {
    const iat = Math.floor(nowMs() / 1000)
    const { username, sub, originJti, eventId, authTimeSeconds } = session
    const common = { sub, iss: issuer, origin_jti: originJti, event_id: eventId, auth_time: authTimeSeconds }
    const access = {
      ...common,
      client_id: pool.clientId,
      token_use: 'access',
      exp: iat + accessTokenSeconds,
      iat,
      jti: randomUUID(),
      username,
    }
    const scopes = ['aws.cognito.signin.user.admin']
    const event = {
      version: '2',
      triggerSource: trigger,
      region,
      userPoolId,
      userName: username,
      callerContext: { awsSdkVersion: 'aws-sdk-js-3', clientId: pool.clientId },
      request: {
        userAttributes: { sub, 'cognito:user_status': user.status },
        groupConfiguration: { groupsToOverride: [], iamRolesToOverride: [], preferredRole: null },
        scopes,
      },
      response: { claimsAndScopeOverrideDetails: null },
    }
    const changes = preToken ? await runPreToken(preToken, event) : {}
    const id = {
      ...common,
      'cognito:username': username,
      aud: pool.clientId,
      token_use: 'id',
      exp: iat + accessTokenSeconds,
      iat,
      jti: randomUUID(),
    }
    return {
      AccessToken: sign(customised(access, scopes, changes)),
      ExpiresIn: accessTokenSeconds,
      IdToken: sign(id),
      TokenType: 'Bearer',
    }
  }

  async function signIn(username: string, password: string) {
    const user = checkPassword(findUser(username), password)
    state.save()
    return begin(username, user)
  }

  /** Tokens of a new session for a user who has passed a flow. */
  async function begin(username: string, user: User) {
    if (!user.enabled) refuse('NotAuthorizedException', 'User is disabled.')
    if (user.status === 'FORCE_CHANGE_PASSWORD') {
      return {
        ChallengeName: 'NEW_PASSWORD_REQUIRED',
        ChallengeParameters: { USER_ID_FOR_SRP: username, requiredAttributes: '[]', userAttributes: '{}' },
        Session: randomBytes(96).toString('base64url'),
      }
    }
    const now = nowMs()
    const session: Session = {
      username,
      sub: user.sub,
      originJti: randomUUID(),
      eventId: randomUUID(),
      authTimeSeconds: Math.floor(now / 1000),
      expiresAtMs: now + refreshTokenMs,
      revoked: false,
    }
    const result = await issue(session, user, 'TokenGeneration_Authentication')
    const refreshToken = newRefreshToken()
    for (const [hash, old] of Object.entries(pool.sessions)) {
      if (old.expiresAtMs <= now) delete pool.sessions[hash]
    }
    pool.sessions[sha256(refreshToken)] = session
    state.save()
    return { AuthenticationResult: { ...result, RefreshToken: refreshToken }, ChallengeParameters: {} }
  }

  // The custom flow

  /** Custom flows that wait for an answer, by the SHA-256 of their `Session`. */
  const flows = new Map<string, CustomFlow>()

  async function runCustom(step: string, username: string, request: object): Promise<Input> {
    if (!customAuth)
      return refuse('InvalidLambdaResponseException', 'There is no trigger of the custom flow.')
    const user = findUser(username)
    return runTrigger(customAuth, step, {
      version: '1',
      triggerSource: `${step}_Authentication`,
      region,
      userPoolId,
      userName: username,
      callerContext: { awsSdkVersion: 'aws-sdk-js-3', clientId: pool.clientId },
      request: {
        userAttributes: user ? { sub: user.sub, 'cognito:user_status': user.status } : {},
        ...(user ? {} : { userNotFound: true }),
        ...request,
      },
      response: {},
    })
  }

  /** Asks DefineAuthChallenge what comes next: tokens, the end, or another challenge. */
  async function nextOfCustom(username: string, history: CustomFlow['history']) {
    const wrong = 'Incorrect username or password.'
    const next = await runCustom('DefineAuthChallenge', username, { session: history })
    if (next.failAuthentication === true) refuse('NotAuthorizedException', wrong)
    const user = findUser(username)
    if (next.issueTokens === true) {
      return user ? begin(username, user) : refuse('NotAuthorizedException', wrong)
    }
    if (user && !user.enabled) refuse('NotAuthorizedException', 'User is disabled.')
    const made = await runCustom('CreateAuthChallenge', username, {
      challengeName: next.challengeName,
      session: history,
    })
    const Session = randomBytes(96).toString('base64url')
    const secrets = made.privateChallengeParameters as Record<string, string>
    flows.set(sha256(Session), { username, secrets, history, expiresAtMs: nowMs() + customFlowMs })
    return {
      ChallengeName: next.challengeName,
      ChallengeParameters: { USERNAME: username, ...(made.publicChallengeParameters as object) },
      Session,
    }
  }

  async function respond(input: Input) {
    requireClient(text(input.ClientId))
    if (input.ChallengeName !== 'CUSTOM_CHALLENGE')
      refuse('InvalidParameterException', 'The double knows CUSTOM_CHALLENGE only')
    const answers = (input.ChallengeResponses ?? {}) as Record<string, string | undefined>
    const { USERNAME, ANSWER, SECRET_HASH } = answers
    requireExactly(answers, ['USERNAME', 'ANSWER'])
    requireSecretHash(text(USERNAME), SECRET_HASH)
    const key = sha256(text(input.Session))
    const flow = flows.get(key)
    flows.delete(key)
    if (!flow || flow.username !== USERNAME || flow.expiresAtMs <= nowMs())
      return refuse('NotAuthorizedException', 'Invalid session for the user, session can only be used once.')
    const { answerCorrect } = await runCustom('VerifyAuthChallengeResponse', flow.username, {
      privateChallengeParameters: flow.secrets,
      challengeAnswer: ANSWER,
    })
    const result = { challengeName: 'CUSTOM_CHALLENGE', challengeResult: answerCorrect === true }
    return nextOfCustom(flow.username, [...flow.history, result])
  }

  function findSession(refreshToken: string): Session | undefined {
    return pool.sessions[sha256(refreshToken)]
  }

  async function refresh(refreshToken: string) {
    const session = findSession(refreshToken)
    const user = session && findUser(session.username)
    if (!session || !user || user.sub !== session.sub) {
      return refuse('NotAuthorizedException', 'Invalid Refresh Token.')
    }
    if (session.revoked) refuse('NotAuthorizedException', 'Refresh Token has been revoked')
    if (session.expiresAtMs <= nowMs()) refuse('NotAuthorizedException', 'Refresh Token has expired')
    if (!user.enabled) refuse('NotAuthorizedException', 'User is disabled.')
    return { AuthenticationResult: await issue(session, user, 'TokenGeneration_RefreshTokens') }
  }

  // Operations

  function requireClientSecret(input: Input, name: string): void {
    requireClient(text(input.ClientId))
    if (!same(text(input.ClientSecret), pool.clientSecret)) refuse(name, 'Invalid client secret')
  }

  async function initiateAuth(input: Input, passwordFlow: string | undefined) {
    requireClient(text(input.ClientId))
    const parameters = (input.AuthParameters ?? {}) as Record<string, string | undefined>
    const { USERNAME, PASSWORD, REFRESH_TOKEN, SECRET_HASH } = parameters
    if (passwordFlow !== undefined && input.AuthFlow === passwordFlow) {
      requireExactly(parameters, ['USERNAME', 'PASSWORD'])
      requireSecretHash(text(USERNAME), SECRET_HASH)
      return signIn(text(USERNAME), text(PASSWORD))
    }
    if (input.AuthFlow === 'CUSTOM_AUTH') {
      requireExactly(parameters, ['USERNAME'])
      requireSecretHash(text(USERNAME), SECRET_HASH)
      return nextOfCustom(text(USERNAME), [])
    }
    if (input.AuthFlow === 'REFRESH_TOKEN_AUTH' || input.AuthFlow === 'REFRESH_TOKEN') {
      requireExactly(parameters, ['REFRESH_TOKEN'])
      requireSecretHash(findSession(text(REFRESH_TOKEN))?.username ?? '', SECRET_HASH)
      return refresh(text(REFRESH_TOKEN))
    }
    return refuse('InvalidParameterException', `${input.AuthFlow} flow not enabled for this client`)
  }

  function setEnabled(input: Input, enabled: boolean) {
    requireUser(input).enabled = enabled
    state.save()
    return {}
  }

  const operations: Record<string, Operation> = {
    AdminCreateUser: {
      signed: true,
      members: { ...userMembers, TemporaryPassword: { ...password, optional: true }, MessageAction: anyText },
      run(input) {
        requirePool(text(input.UserPoolId))
        const username = text(input.Username)
        if (input.MessageAction !== 'SUPPRESS') {
          refuse(
            'InvalidParameterException',
            'The double sends no invitations: MessageAction must be SUPPRESS',
          )
        }
        if (findUser(username)) refuse('UsernameExistsException', 'User account already exists')
        const temporary = text(input.TemporaryPassword) || randomBytes(16).toString('base64')
        const user = newUser(temporary, 'FORCE_CHANGE_PASSWORD')
        pool.users[username] = user
        state.save()
        return {
          User: {
            Username: username,
            Attributes: [{ Name: 'sub', Value: user.sub }],
            UserCreateDate: user.createdAtMs / 1000,
            UserLastModifiedDate: user.createdAtMs / 1000,
            Enabled: true,
            UserStatus: user.status,
          },
        }
      },
    },
    AdminSetUserPassword: {
      signed: true,
      members: { ...userMembers, Password: password, Permanent: { type: 'boolean', optional: true } },
      run(input) {
        const user = requireUser(input)
        user.password = storedPassword(text(input.Password))
        user.status = input.Permanent === true ? 'CONFIRMED' : 'FORCE_CHANGE_PASSWORD'
        state.save()
        return {}
      },
    },
    AdminInitiateAuth: {
      signed: true,
      members: { UserPoolId: poolId, ...authMembers },
      run(input) {
        requirePool(text(input.UserPoolId))
        return initiateAuth(input, 'ADMIN_USER_PASSWORD_AUTH')
      },
    },
    InitiateAuth: {
      signed: false,
      members: authMembers,
      run: (input) => initiateAuth(input, undefined),
    },
    AdminRespondToAuthChallenge: {
      signed: true,
      members: { UserPoolId: poolId, ...respondMembers },
      run(input) {
        requirePool(text(input.UserPoolId))
        return respond(input)
      },
    },
    RespondToAuthChallenge: { signed: false, members: respondMembers, run: respond },
    GetTokensFromRefreshToken: {
      signed: false,
      members: { RefreshToken: token, ClientId: clientId, ClientSecret: clientSecret },
      run(input) {
        requireClientSecret(input, 'NotAuthorizedException')
        return refresh(text(input.RefreshToken))
      },
    },
    RevokeToken: {
      signed: false,
      members: { Token: token, ClientId: clientId, ClientSecret: clientSecret },
      run(input) {
        requireClientSecret(input, 'UnauthorizedException')
        const session = findSession(text(input.Token))
        if (session) session.revoked = true
        else if (text(input.Token).split('.').length === 3) {
          refuse('UnsupportedTokenTypeException', 'Unsupported token type')
        } else refuse('InvalidParameterException', 'Invalid token')
        state.save()
        return {}
      },
    },
    AdminDeleteUser: {
      signed: true,
      members: userMembers,
      run(input) {
        requireUser(input)
        delete pool.users[text(input.Username)]
        state.save()
        return {}
      },
    },
    AdminDisableUser: { signed: true, members: userMembers, run: (input) => setEnabled(input, false) },
    AdminEnableUser: { signed: true, members: userMembers, run: (input) => setEnabled(input, true) },
  }

  // The wire

  const faults = operationFaults(Object.keys(operations))

  /** The answer to one request; undefined means that the connection is cut without an answer. */
  async function answer(request: IncomingMessage): Promise<Answer | undefined> {
    const target = String(request.headers['x-amz-target'] ?? '')
    const name = target.replace(/^AWSCognitoIdentityProviderService\./, '')
    const operation = Object.hasOwn(operations, name) && name !== target ? operations[name] : undefined
    const body = await readBody(request)
    counts[name] = (counts[name] ?? 0) + 1
    if (!operation || request.method !== 'POST') return refusal('UnknownOperationException', '')
    return faults.serve(name, {
      serve: () => perform(operation, request, body),
      refuse: (why) =>
        why === 'error'
          ? refusal('InternalErrorException', 'A fault was asked for.', 500)
          : refusal('TooManyRequestsException', 'Rate exceeded'),
    })
  }

  async function perform(operation: Operation, request: IncomingMessage, body: Buffer): Promise<Answer> {
    try {
      if (request.headers['content-type'] !== 'application/x-amz-json-1.1') {
        refuse('SerializationException', 'Content-Type must be application/x-amz-json-1.1')
      }
      if (operation.signed) requireSignature(request.headers.authorization, region)
      const input = parseInput(body)
      checkMembers(input, operation.members)
      return { status: 200, body: await operation.run(input) }
    } catch (error) {
      if (error instanceof Refusal) return refusal(error.name, error.message)
      throw error
    }
  }

  async function handle(request: IncomingMessage, response: ServerResponse): Promise<void> {
    if (request.method === 'GET' && request.url === `/${userPoolId}/.well-known/jwks.json`) {
      response.writeHead(200, { 'content-type': 'application/json' })
      response.end(JSON.stringify({ keys: [key.jwk] }))
      return
    }
    const answered = await answer(request)
    if (!answered) return cut(response)
    response.writeHead(answered.status, {
      'content-type': 'application/x-amz-json-1.1',
      'x-amzn-requestid': randomUUID(),
    })
    response.end(JSON.stringify(answered.body))
  }

  const { url, close } = await listen(handle, options.port)
  return {
    url,
    userPoolId,
    clientId: pool.clientId,
    clientSecret: pool.clientSecret,
    issuer,
    jwksUri: `${url}/${userPoolId}/.well-known/jwks.json`,
    publicKeyPem: key.publicPem,
    sign,
    addUser(username, password) {
      pool.users[username] = newUser(password, 'CONFIRMED')
      state.save()
    },
    refusePassword: (password) => void refusedPasswords.add(password),
    async signIn(username, password) {
      const { AuthenticationResult } = await signIn(username, password)
      return AuthenticationResult ?? refuse('NotAuthorizedException', 'The password is temporary.')
    },
    users: () => Object.keys(pool.users),
    calls: () => ({ ...counts }),
    resetCalls() {
      counts = {}
    },
    clear() {
      Object.assign(pool, { users: {}, sessions: {} })
      state.save()
    },
    addFault: faults.addFault,
    clearFaults: faults.clearFaults,
    close() {
      faults.close()
      return close()
    },
  }
}

// Refusals

interface Answer {
  status: number
  body: object
}

const refusal = (name: string, message: string, status = 400): Answer => ({
  status,
  body: { __type: name, message },
})

/** An error that the service would give, as opposed to a bug of the double. */
class Refusal extends Error {}

function refuse(name: string, message: string): never {
  throw Object.assign(new Refusal(message), { name })
}

function requireSignature(authorization: string | undefined, region: string): void {
  const scope = /^AWS4-HMAC-SHA256 Credential=[^/]+\/\d{8}\/([^/]+\/[^/]+)\/aws4_request,/.exec(
    authorization ?? '',
  )?.[1]
  if (scope === undefined) refuse('MissingAuthenticationTokenException', 'Missing Authentication Token')
  if (scope !== `${region}/cognito-idp`) {
    refuse('InvalidSignatureException', 'Credential should be scoped to a valid region.')
  }
}

// Shapes of requests, with the service's own limits

type Input = Record<string, unknown>

interface Operation {
  /** Whether the operation needs an AWS signature. An unsigned operation needs only the client's id. */
  signed: boolean
  members: Record<string, Member>
  run(input: Input): object | Promise<object>
}

interface Member {
  type: 'string' | 'boolean' | 'map'
  optional?: true
  pattern?: RegExp
  min?: number
  max?: number
}

const poolId: Member = { type: 'string', pattern: /^[\w-]+_[0-9a-zA-Z]+$/, min: 1, max: 55 }
const userMembers: Record<string, Member> = {
  UserPoolId: poolId,
  Username: { type: 'string', pattern: /^[\p{L}\p{M}\p{S}\p{N}\p{P}]+$/u, min: 1, max: 128 },
}
const password: Member = { type: 'string', pattern: /^[\S]+.*[\S]+$/, max: 256 }
const clientId: Member = { type: 'string', pattern: /^[\w+]+$/, min: 1, max: 128 }
const clientSecret: Member = { type: 'string', pattern: /^[\w+]+$/, min: 24, max: 64, optional: true }
const token: Member = { type: 'string', pattern: /^[A-Za-z0-9\-_=.]+$/ }
const anyText: Member = { type: 'string', optional: true }
const authMembers: Record<string, Member> = {
  ClientId: clientId,
  AuthFlow: { type: 'string' },
  AuthParameters: { type: 'map', optional: true },
}

const respondMembers: Record<string, Member> = {
  ClientId: clientId,
  ChallengeName: { type: 'string' },
  Session: { type: 'string', min: 20, max: 2048 },
  ChallengeResponses: { type: 'map' },
}

function parseInput(body: Buffer): Input {
  try {
    const input: unknown = JSON.parse(body.toString())
    if (typeof input === 'object' && input !== null && !Array.isArray(input)) return input as Input
  } catch {}
  return refuse('SerializationException', 'The request is not a JSON object')
}

function checkMembers(input: Input, members: Record<string, Member>): void {
  for (const name of Object.keys(input)) {
    if (!Object.hasOwn(members, name)) refuse('SerializationException', `Unknown parameter ${name}`)
  }
  for (const [name, { type, optional, pattern, min = 0, max = Infinity }] of Object.entries(members)) {
    const value = input[name] ?? undefined
    const label = `'${name.charAt(0).toLowerCase()}${name.slice(1)}'`
    if (value === undefined) {
      if (!optional) invalid(`Value null at ${label}`, 'Member must not be null')
      continue
    }
    const isText = typeof value === 'string'
    const isMap =
      typeof value === 'object' && Object.values(value).every((entry) => typeof entry === 'string')
    if (!(type === 'map' ? isMap : typeof value === type)) {
      refuse('SerializationException', `${name} cannot be converted to ${type}`)
    }
    if (!isText) continue
    if (value.length < min || value.length > max) {
      invalid(`Value at ${label}`, `Member must have length between ${min} and ${max}`)
    }
    if (pattern && !pattern.test(value)) {
      invalid(`Value at ${label}`, `Member must satisfy regular expression pattern: ${pattern.source}`)
    }
  }
}

function invalid(what: string, constraint: string): never {
  refuse(
    'InvalidParameterException',
    `1 validation error detected: ${what} failed to satisfy constraint: ${constraint}`,
  )
}

/** Refuses `AuthParameters` other than these; `SECRET_HASH` is checked elsewhere. */
function requireExactly(parameters: Record<string, unknown>, names: string[]): void {
  for (const name of names) {
    if (!parameters[name]) refuse('InvalidParameterException', `Missing required parameter ${name}`)
  }
  for (const name of Object.keys(parameters)) {
    if (name !== 'SECRET_HASH' && !names.includes(name)) {
      refuse('InvalidParameterException', `Unknown authentication parameter ${name}`)
    }
  }
}

function text(value: unknown): string {
  return typeof value === 'string' ? value : ''
}

// The trigger

interface AccessTokenChanges {
  scopesToAdd?: string[]
  scopesToSuppress?: string[]
  claimsToAddOrOverride?: Record<string, unknown>
  claimsToSuppress?: string[]
}

async function runPreToken(
  trigger: (event: unknown) => Promise<unknown>,
  event: object,
): Promise<AccessTokenChanges> {
  const response = await runTrigger(trigger, 'PreTokenGeneration', event)
  const details = response.claimsAndScopeOverrideDetails as
    | { accessTokenGeneration?: AccessTokenChanges }
    | undefined
  return details?.accessTokenGeneration ?? {}
}

/** The response in a trigger's answer. */
async function runTrigger(
  trigger: (event: unknown) => Promise<unknown>,
  name: string,
  event: object,
): Promise<Input> {
  let output: unknown
  try {
    output = await trigger(structuredClone(event))
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error)
    refuse('UserLambdaValidationException', `${name} failed with error ${reason}.`)
  }
  // A round trip through JSON, as over the wire: values that JSON cannot hold are lost.
  const { response } = (output === undefined ? null : JSON.parse(JSON.stringify(output))) ?? {}
  if (typeof response !== 'object' || response === null) {
    refuse('InvalidLambdaResponseException', 'Unrecognizable lambda output')
  }
  return response
}

/** Claims that a trigger can neither set nor remove, in addition to the claims that every token has. */
const reservedClaims = ['scope', 'acr', 'amr', 'at_hash', 'azp', 'nbf', 'nonce', 'device_key', 'version']

function customised(claims: Record<string, unknown>, scopes: string[], changes: AccessTokenChanges): Input {
  const {
    scopesToAdd = [],
    scopesToSuppress = [],
    claimsToAddOrOverride = {},
    claimsToSuppress = [],
  } = changes
  const kept = scopes.filter((scope) => !scopesToSuppress.includes(scope))
  const scope = [...new Set([...kept, ...scopesToAdd])].join(' ')
  const added = Object.entries(claimsToAddOrOverride).filter(
    ([name]) => !reservedClaims.includes(name) && !claimsToSuppress.includes(name),
  )
  return { ...Object.fromEntries(added), ...claims, ...(scope === '' ? {} : { scope }) }
}

// Cryptography

let processKey: string | undefined

/** One RSA key for the whole process, because making a key takes a tenth of a second. */
function processKeyPem(): string {
  processKey ??= generateKeyPairSync('rsa', {
    modulusLength: 2048,
    publicKeyEncoding: { type: 'spki', format: 'pem' },
    privateKeyEncoding: { type: 'pkcs8', format: 'pem' },
  }).privateKey
  return processKey
}

function isPrivateKey(pem: string): boolean {
  try {
    return createPrivateKey(pem).asymmetricKeyType === 'rsa'
  } catch {
    return false
  }
}

function signingKey(privateKeyPem: string) {
  const publicKey = createPublicKey(privateKeyPem)
  const { n, e } = publicKey.export({ format: 'jwk' })
  const kid = createHash('sha256').update(`${n}.${e}`).digest('base64')
  return {
    private: createPrivateKey(privateKeyPem),
    publicPem: publicKey.export({ type: 'spki', format: 'pem' }).toString(),
    kid,
    jwk: { alg: 'RS256', e, kid, kty: 'RSA', n, use: 'sig' },
  }
}

function newRefreshToken(): string {
  const header = base64Json({ cty: 'JWT', enc: 'A256GCM', alg: 'RSA-OAEP' })
  return [header, ...[256, 12, 600, 16].map((bytes) => randomBytes(bytes).toString('base64url'))].join('.')
}

/** The cost parameter is small: the file belongs to a developer, and tests sign in often. */
function hashPassword(password: string, salt: string): string {
  // The password is hashed first: scrypt pads its key with zeros, so `x` and `x\\0` would be the same
  // password.
  return scryptSync(sha256(password), salt, 32, { N: 16 }).toString('base64')
}

function sha256(value: string): string {
  return createHash('sha256').update(value).digest('base64url')
}

function base64Json(value: Json): string {
  return Buffer.from(typeof value === 'string' ? value : JSON.stringify(value)).toString('base64url')
}

function same(a: string, b: string): boolean {
  return timingSafeEqual(createHash('sha256').update(a).digest(), createHash('sha256').update(b).digest())
}
