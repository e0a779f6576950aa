import { createHmac } from 'node:crypto'
import { copyFileSync, mkdtempSync, readFileSync, rmSync } from 'node:fs'
import type { ServerResponse } from 'node:http'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import {
  AdminCreateUserCommand,
  AdminDisableUserCommand,
  AdminEnableUserCommand,
  AdminGetUserCommand,
  AdminInitiateAuthCommand,
  CognitoIdentityProviderClient,
} from '@aws-sdk/client-cognito-identity-provider'
import { CognitoJwtVerifier } from 'aws-jwt-verify'
import type { Jwks } from 'aws-jwt-verify/jwk'
import { afterEach, describe, expect, test, vi } from 'vitest'
import { systemClock } from '../../core/adapters/clock.ts'
import { cognitoIdentity } from '../../core/adapters/cognito.ts'
import { randomIds } from '../../core/adapters/ids.ts'
import {
  answerTrigger,
  type CustomAuthEvent,
  verifiedAnswer,
} from '../../core/credentials/verified-sign-in.ts'
import type { Identity } from '../../core/ports.ts'
import { handler as preToken } from '../../functions/pre-token.ts'
import { type CognitoDouble, type CognitoOptions, startCognito } from '../local/cognito.ts'
import { listen, readBody } from '../local/http.ts'
import { keyringOf } from '../support/keyrings.ts'
import {
  accountIdForTest,
  claimsOf,
  domainError,
  goodPassword,
  identityContract,
  signedIn,
} from './identity.contract.ts'

const credentials = { accessKeyId: 'local', secretAccessKey: 'local' }
const trigger = preToken as (event: unknown) => Promise<unknown>
const keyring = keyringOf('0123456789abcdef'.repeat(4))
const customAuth = async (event: unknown) => ({
  ...(event as object),
  response: answerTrigger({ keyring, ids: randomIds(systemClock) }, event as CustomAuthEvent),
})
const minuteMs = 60_000
const dayMs = 24 * 60 * minuteMs

function clientOf(endpoint: string, region = 'eu-west-1') {
  return new CognitoIdentityProviderClient({ endpoint, region, credentials, maxAttempts: 1 })
}

async function jwksOf(uri: string): Promise<Jwks> {
  return (await (await fetch(uri)).json()) as Jwks
}

/** The authorizer's verifier, with the keys of this double. */
async function verifierOf({ userPoolId, clientId, jwksUri }: CognitoDouble) {
  const verifier = CognitoJwtVerifier.create({ userPoolId, clientId, tokenUse: 'access' })
  verifier.cacheJwks(await jwksOf(jwksUri))
  return verifier
}

identityContract('Identity on the double', async () => {
  const double = await startCognito({ nowMs: Date.now, preToken: trigger, customAuth })
  const client = clientOf(double.url)
  return {
    ...double,
    client,
    identity: cognitoIdentity({ ...double, client }),
    jwks: await jwksOf(double.jwksUri),
    answerOf: (accountId, nonce) => verifiedAnswer({ keyring }, accountId, nonce),
    async close() {
      client.destroy()
      await double.close()
    },
  }
})

const { COGNITO_USER_POOL_ID, COGNITO_CLIENT_ID, COGNITO_CLIENT_SECRET, COGNITO_ROOT_SECRET } = process.env
if (COGNITO_USER_POOL_ID && COGNITO_CLIENT_ID && COGNITO_CLIENT_SECRET) {
  const region = COGNITO_USER_POOL_ID.split('_')[0] ?? ''
  const config = {
    userPoolId: COGNITO_USER_POOL_ID,
    clientId: COGNITO_CLIENT_ID,
    clientSecret: COGNITO_CLIENT_SECRET,
  }
  identityContract('Identity on a real user pool', async () => {
    const client = new CognitoIdentityProviderClient({ region })
    return {
      ...config,
      client,
      identity: cognitoIdentity({ ...config, client }),
      // The root secret of the deployment whose trigger the pool has.
      answerOf: (accountId, nonce) =>
        verifiedAnswer({ keyring: keyringOf(COGNITO_ROOT_SECRET ?? '') }, accountId, nonce),
      jwks: await jwksOf(
        `https://cognito-idp.${region}.amazonaws.com/${config.userPoolId}/.well-known/jwks.json`,
      ),
      close: async () => client.destroy(),
    }
  })
}

let toClose: (() => unknown)[] = []
afterEach(async () => {
  for (const close of toClose.reverse()) await close()
  toClose = []
  vi.unstubAllEnvs()
})

interface Started {
  double: CognitoDouble
  client: CognitoIdentityProviderClient
  identity: Identity
  clock: { nowMs: number }
}

async function start(options: Partial<CognitoOptions> = {}, nowMs = Date.now()): Promise<Started> {
  const clock = { nowMs }
  const double = await startCognito({ nowMs: () => clock.nowMs, ...options })
  const client = clientOf(double.url)
  toClose.push(double.close, () => client.destroy())
  return { double, client, identity: cognitoIdentity({ ...double, client }), clock }
}

async function enrolled(identity: Identity): Promise<string> {
  const accountId = accountIdForTest()
  await identity.enroll(accountId, goodPassword)
  return accountId
}

function stateFile(): string {
  const folder = mkdtempSync(join(tmpdir(), 'cognito-'))
  toClose.push(() => rmSync(folder, { recursive: true }))
  return join(folder, 'cognito.json')
}

describe('the double’s clock', () => {
  test('an access token is good for 15 minutes and no longer', async () => {
    const verify = async (agoMs: number) => {
      const { double, identity } = await start({}, Date.now() - agoMs)
      const { accessToken } = await signedIn(identity, await enrolled(identity))
      return (await verifierOf(double)).verify(accessToken)
    }
    await expect(verify(14 * minuteMs)).resolves.toBeDefined()
    await expect(verify(15 * minuteMs + 1_000)).rejects.toThrow(/expired/i)
  })

  test('auth_time and origin_jti are those of the sign-in however late the refresh', async () => {
    const { identity, clock } = await start()
    const first = await signedIn(identity, await enrolled(identity))
    const before = claimsOf(first.accessToken)
    clock.nowMs += 29 * dayMs
    const after = claimsOf((await identity.refresh(first.refreshToken))?.accessToken ?? '')
    expect(after).toMatchObject({ auth_time: before.auth_time, origin_jti: before.origin_jti })
    expect(after.iat).toBe(Math.floor(clock.nowMs / 1000))
    expect(after.exp).toBe(Number(after.iat) + 900)
  })

  test('a refresh token lives 30 days from the sign-in, refreshed or not', async () => {
    const { identity, clock } = await start()
    const { refreshToken } = await signedIn(identity, await enrolled(identity))
    clock.nowMs += 30 * dayMs - 1
    expect(await identity.refresh(refreshToken)).toBeDefined()
    clock.nowMs += 1
    expect(await identity.refresh(refreshToken)).toBeUndefined()
  })

  test('the fifth wrong password locks the account for 1 s, each further one twice as long, at most 15 min', async () => {
    const { identity, clock } = await start()
    const accountId = await enrolled(identity)
    const locked = async () => expect(await identity.signIn(accountId, goodPassword)).toBe('locked')
    const wrong = async () => expect(await identity.signIn(accountId, 'wrong-password')).toBeUndefined()
    for (let n = 1; n <= 4; n++) await wrong()
    for (let n = 5; n <= 17; n++) {
      await wrong()
      const lockMs = Math.min(1000 * 2 ** (n - 5), 15 * minuteMs)
      clock.nowMs += lockMs - 1
      await locked() // An attempt while locked neither succeeds nor extends the lock.
      clock.nowMs += 1
    }
    await signedIn(identity, accountId)
  })

  test('success, or 15 minutes without an attempt, resets the count of that account only', async () => {
    const { identity, clock } = await start()
    const [a, b] = [await enrolled(identity), await enrolled(identity)]
    const wrong = async (times: number) => {
      for (let n = 0; n < times; n++) expect(await identity.signIn(a, 'wrong-password')).toBeUndefined()
    }
    await wrong(4)
    await signedIn(identity, a)
    await wrong(5)
    expect(await identity.signIn(a, goodPassword)).toBe('locked')
    await signedIn(identity, b)
    clock.nowMs += 15 * minuteMs
    await wrong(4)
    await signedIn(identity, a)
  })

  test('concurrent wrong passwords are counted one by one', async () => {
    const { identity, clock } = await start()
    const accountId = await enrolled(identity)
    await Promise.all(Array.from({ length: 5 }, () => identity.signIn(accountId, 'wrong-password')))
    clock.nowMs += 999
    expect(await identity.signIn(accountId, goodPassword)).toBe('locked')
    clock.nowMs += 1
    await signedIn(identity, accountId)
  })
})

describe('the double’s tokens', () => {
  test('access and id token have exactly the claims of a password sign-in', async () => {
    const { double, client, identity } = await start()
    const accountId = await enrolled(identity)
    const { accessToken } = await signedIn(identity, accountId)
    const common = {
      iss: double.issuer,
      sub: expect.stringMatching(/^[\da-f-]{36}$/),
      jti: expect.any(String),
    }
    expect(Object.keys(claimsOf(accessToken)).sort()).toEqual(
      'auth_time client_id event_id exp iat iss jti origin_jti scope sub token_use username'.split(' '),
    )
    expect(claimsOf(accessToken)).toMatchObject({
      ...common,
      client_id: double.clientId,
      scope: 'aws.cognito.signin.user.admin',
      token_use: 'access',
      username: accountId,
    })
    const { AuthenticationResult } = await client.send(
      new AdminInitiateAuthCommand({
        UserPoolId: double.userPoolId,
        ClientId: double.clientId,
        AuthFlow: 'REFRESH_TOKEN_AUTH',
        AuthParameters: await refreshParameters(double, identity, accountId),
      }),
    )
    const idToken = AuthenticationResult?.IdToken ?? ''
    expect(Object.keys(claimsOf(idToken)).sort()).toEqual(
      'aud auth_time cognito:username event_id exp iat iss jti origin_jti sub token_use'.split(' '),
    )
    expect(claimsOf(idToken)).toMatchObject({ ...common, aud: double.clientId, token_use: 'id' })
    expect(double.issuer).toBe('https://cognito-idp.eu-west-1.amazonaws.com/eu-west-1_Local0001')
  })

  test('a refresh token of another pool is refused, even with equal pool and account names', async () => {
    const [a, b] = [await start(), await start()]
    const accountId = await enrolled(a.identity)
    await b.identity.enroll(accountId, goodPassword)
    const { refreshToken } = await signedIn(a.identity, accountId)
    expect(await b.identity.refresh(refreshToken)).toBeUndefined()
    await b.identity.revoke(refreshToken)
    expect(await a.identity.refresh(refreshToken)).toBeDefined()
  })

  test('sign() makes a token that differs only in the given claims', async () => {
    const { double, identity } = await start()
    const { accessToken } = await signedIn(identity, await enrolled(identity))
    const verifier = await verifierOf(double)
    const claims = claimsOf(accessToken)
    await expect(verifier.verify(double.sign(claims))).resolves.toMatchObject(claims)
    await expect(verifier.verify(double.sign({ ...claims, exp: 1 }))).rejects.toThrow(/expired/i)
    const forged = double.sign(claims, { header: { alg: 'HS256' } })
    expect(JSON.parse(Buffer.from(forged.split('.')[0] ?? '', 'base64url').toString()).alg).toBe('HS256')
    await expect(verifier.verify(forged)).rejects.toThrow()
  })
})

async function refreshParameters(double: CognitoDouble, identity: Identity, accountId: string) {
  const { refreshToken } = await signedIn(identity, accountId)
  const hash = createHmac('sha256', double.clientSecret).update(accountId + double.clientId)
  return { REFRESH_TOKEN: refreshToken, SECRET_HASH: hash.digest('base64') }
}

describe('the double’s pre token generation trigger', () => {
  test('gets the V2 event of a sign-in and of a refresh', async () => {
    const events: Record<string, unknown>[] = []
    const { double, identity } = await start({
      async preToken(event) {
        events.push(event as Record<string, unknown>)
        return trigger(event)
      },
    })
    const tokens = await signedIn(identity, await enrolled(identity))
    await identity.refresh(tokens.refreshToken)
    expect(events.map(({ triggerSource }) => triggerSource)).toEqual([
      'TokenGeneration_Authentication',
      'TokenGeneration_RefreshTokens',
    ])
    expect(events[0]).toEqual({
      version: '2',
      triggerSource: 'TokenGeneration_Authentication',
      region: 'eu-west-1',
      userPoolId: double.userPoolId,
      userName: tokens.accountId,
      callerContext: { awsSdkVersion: expect.any(String), clientId: double.clientId },
      request: {
        userAttributes: { sub: claimsOf(tokens.accessToken).sub, 'cognito:user_status': 'CONFIRMED' },
        groupConfiguration: { groupsToOverride: [], iamRolesToOverride: [], preferredRole: null },
        scopes: ['aws.cognito.signin.user.admin'],
      },
      response: { claimsAndScopeOverrideDetails: null },
    })
  })

  test('changes scopes and claims of the access token, but none of the service’s own claims', async () => {
    const accessTokenGeneration = {
      scopesToSuppress: ['aws.cognito.signin.user.admin'],
      scopesToAdd: ['bursar/account'],
      claimsToAddOrOverride: {
        generation: 7,
        gone: 'x',
        username: 'mallory',
        exp: 1,
        iss: 'x',
        scope: 'x',
        nonce: 'x',
      },
      claimsToSuppress: ['gone', 'sub', 'origin_jti'],
    }
    const { double, identity } = await start({
      preToken: async (event) => ({
        ...(event as object),
        response: { claimsAndScopeOverrideDetails: { accessTokenGeneration } },
      }),
    })
    const tokens = await signedIn(identity, await enrolled(identity))
    const claims = claimsOf(tokens.accessToken)
    expect(claims).toMatchObject({
      generation: 7,
      scope: 'bursar/account',
      username: tokens.accountId,
      iss: double.issuer,
      sub: expect.any(String),
      origin_jti: tokens.sessionId,
    })
    expect(claims.exp).toBe(Number(claims.iat) + 900)
    expect(claims).not.toHaveProperty('gone')
    expect(claims).not.toHaveProperty('nonce')
  })

  test.each([
    ['throws', () => Promise.reject(new Error('broken'))],
    ['answers nothing', () => Promise.resolve(undefined)],
    ['does not return the event', () => Promise.resolve({ status: 'ok' })],
  ])('when it %s no token is given and the answer is temporarily_unavailable', async (_, broken) => {
    let fail = false
    const { double, identity } = await start({
      preToken: (event) => (fail ? broken() : trigger(event)),
    })
    const tokens = await signedIn(identity, await enrolled(identity))
    fail = true
    const unavailable = domainError('temporarily_unavailable')
    await expect(identity.signIn(tokens.accountId, goodPassword)).rejects.toEqual(unavailable)
    await expect(identity.refresh(tokens.refreshToken)).rejects.toEqual(unavailable)
    expect(double.calls()).toMatchObject({ AdminInitiateAuth: 2, GetTokensFromRefreshToken: 1 })
    fail = false
    expect(await identity.refresh(tokens.refreshToken)).toBeDefined()
  })
})

describe('the double’s state', () => {
  test('what was answered survives kill -9: users, passwords, sessions, client and key', async () => {
    const file = stateFile()
    const first = await start({ stateFile: file })
    const accountId = await enrolled(first.identity)
    const [kept, revoked] = [
      await signedIn(first.identity, accountId),
      await signedIn(first.identity, accountId),
    ]
    await first.identity.revoke(revoked.refreshToken)

    // A copy of the file simulates the kill, because the first double cannot write into the copy any more.
    copyFileSync(file, `${file}.killed`)
    const second = await start({ stateFile: `${file}.killed` })
    expect(second.double.users()).toEqual([accountId])
    expect(second.double).toMatchObject({
      userPoolId: first.double.userPoolId,
      clientId: first.double.clientId,
      clientSecret: first.double.clientSecret,
      publicKeyPem: first.double.publicKeyPem,
    })
    expect(await jwksOf(second.double.jwksUri)).toEqual(await jwksOf(first.double.jwksUri))
    expect((await second.identity.refresh(kept.refreshToken))?.sessionId).toBe(kept.sessionId)
    expect(await second.identity.refresh(revoked.refreshToken)).toBeUndefined()
    expect(await second.identity.signIn(accountId, 'wrong-password')).toBeUndefined()
    expect(await second.identity.signIn(accountId, goodPassword)).toBeDefined()
  })

  test('every change is in the file when its answer comes', async () => {
    const file = stateFile()
    const { identity, client, double } = await start({ stateFile: file })
    const killed = async () => {
      copyFileSync(file, `${file}.killed`)
      return start({ stateFile: `${file}.killed` })
    }
    const accountId = accountIdForTest()
    const user = { UserPoolId: double.userPoolId, Username: accountId }
    const newPassword = 'another-password!'
    await client.send(new AdminCreateUserCommand({ ...user, MessageAction: 'SUPPRESS' }))
    expect((await killed()).double.users()).toEqual([accountId])
    await identity.setPassword(accountId, goodPassword)
    expect(await (await killed()).identity.signIn(accountId, goodPassword)).toBeDefined()
    await identity.setPassword(accountId, newPassword)
    expect(await (await killed()).identity.signIn(accountId, goodPassword)).toBeUndefined()
    const { refreshToken } = await signedIn(identity, accountId, newPassword)
    expect(await (await killed()).identity.refresh(refreshToken)).toBeDefined()
    await identity.revoke(refreshToken)
    expect(await (await killed()).identity.refresh(refreshToken)).toBeUndefined()
    await client.send(new AdminDisableUserCommand(user))
    expect(await (await killed()).identity.signIn(accountId, newPassword)).toBeUndefined()
    await client.send(new AdminEnableUserCommand(user))
    for (let n = 0; n < 5; n++) await identity.signIn(accountId, 'wrong-password')
    expect(await (await killed()).identity.signIn(accountId, newPassword)).toBe('locked')
    await identity.remove(accountId)
    expect((await killed()).double.users()).toEqual([])
  })

  test('the file contains neither passwords nor refresh tokens', async () => {
    const file = stateFile()
    const { identity } = await start({ stateFile: file })
    const { refreshToken } = await signedIn(identity, await enrolled(identity))
    const content = readFileSync(file, 'utf8')
    expect(content).not.toContain(goodPassword)
    expect(content).not.toContain(refreshToken)
    expect(content).not.toContain(refreshToken.split('.')[3])
  })

  test('two doubles without a file share the process’s key and nothing else', async () => {
    const [a, b] = [await start(), await start()]
    expect(a.double.publicKeyPem).toBe(b.double.publicKeyPem)
    expect(a.double.clientSecret).not.toBe(b.double.clientSecret)
    await enrolled(a.identity)
    expect(b.double.users()).toEqual([])
  })
})

describe('the double on the wire', () => {
  const send = (
    url: string,
    operation: string,
    body: object | string,
    headers: Record<string, string> = {},
  ) =>
    fetch(url, {
      method: 'POST',
      headers: {
        'content-type': 'application/x-amz-json-1.1',
        'x-amz-target': `AWSCognitoIdentityProviderService.${operation}`,
        ...headers,
      },
      body: typeof body === 'string' ? body : JSON.stringify(body),
    })
  const signature = (region: string, service: string) => ({
    authorization: `AWS4-HMAC-SHA256 Credential=local/20300101/${region}/${service}/aws4_request, SignedHeaders=host, Signature=00`,
  })
  const signed = signature('eu-west-1', 'cognito-idp')
  const user = { UserPoolId: 'eu-west-1_Local0001', Username: 'a' }

  test.each<[string, string, string, object | string, Record<string, string>]>([
    ['an unknown operation', 'UnknownOperationException', 'ListUsers', {}, signed],
    ['an operation named as a property of every object', 'UnknownOperationException', 'toString', {}, signed],
    ['no JSON', 'SerializationException', 'AdminDeleteUser', '{', signed],
    ['a list', 'SerializationException', 'AdminDeleteUser', [], signed],
    ['an unknown parameter', 'SerializationException', 'AdminDeleteUser', { ...user, Force: true }, signed],
    ['a number for a string', 'SerializationException', 'AdminDeleteUser', { ...user, Username: 7 }, signed],
    ['a missing parameter', 'InvalidParameterException', 'AdminDeleteUser', { Username: 'a' }, signed],
    [
      'a name with a space',
      'InvalidParameterException',
      'AdminDeleteUser',
      { ...user, Username: 'a b' },
      signed,
    ],
    ['an invitation by mail', 'InvalidParameterException', 'AdminCreateUser', user, signed],
    ['attributes', 'SerializationException', 'AdminCreateUser', { ...user, UserAttributes: [] }, signed],
    ['no signature', 'MissingAuthenticationTokenException', 'AdminDeleteUser', user, {}],
    [
      'another region',
      'InvalidSignatureException',
      'AdminDeleteUser',
      user,
      signature('us-east-1', 'cognito-idp'),
    ],
    [
      'another service',
      'InvalidSignatureException',
      'AdminDeleteUser',
      user,
      signature('eu-west-1', 'dynamodb'),
    ],
  ])('%s is refused with 400 %s', async (_, name, operation, body, headers) => {
    const { double } = await start()
    const response = await send(double.url, operation, body, headers)
    expect(response.status).toBe(400)
    expect(await response.json()).toMatchObject({ __type: name })
  })

  test('an operation of the SDK that the double lacks is an error and never a success', async () => {
    const { client } = await start()
    const call = client.send(new AdminGetUserCommand(user))
    await expect(call).rejects.toMatchObject({ name: 'UnknownOperationException' })
  })

  test('calls are counted by operation, refused ones too, until they are reset', async () => {
    const { double, identity } = await start()
    const accountId = await enrolled(identity)
    await identity.signIn(accountId, 'wrong-password')
    await identity.signIn(accountId, goodPassword)
    expect(double.calls()).toEqual({ AdminCreateUser: 1, AdminSetUserPassword: 1, AdminInitiateAuth: 2 })
    double.resetCalls()
    expect(double.calls()).toEqual({})
  })

  test('it listens on the given port until close', async () => {
    const first = await startCognito({ nowMs: Date.now })
    const port = Number(new URL(first.url).port)
    await first.close()
    await expect(fetch(first.jwksUri)).rejects.toThrow()
    const again = await start({ port })
    expect(again.double.url).toBe(first.url)
  })
})

describe('the adapter’s own client', () => {
  test('finds region, credentials and endpoint in the environment, as on AWS', async () => {
    const { double } = await start()
    stubEnvironment(double.url)
    const identity = cognitoIdentity(double)
    const tokens = await signedIn(identity, await enrolled(identity))
    expect(await identity.refresh(tokens.refreshToken)).toBeDefined()
  })

  test('tries twice, then throws temporarily_unavailable', async () => {
    let requests = 0
    const { url } = await answering(() => {
      requests += 1
      return [500, '{"__type":"InternalErrorException"}']
    })
    stubEnvironment(url)
    await expect(cognitoIdentity(noPool).remove('a')).rejects.toEqual(domainError('temporarily_unavailable'))
    expect(requests).toBe(2)
  })
})

describe('an answer that leaves the outcome open is temporarily_unavailable for every call', () => {
  const calls: [string, (identity: Identity) => Promise<unknown>][] = [
    ['enroll', (identity) => identity.enroll('a', goodPassword)],
    ['signIn', (identity) => identity.signIn('a', goodPassword)],
    ['refresh', (identity) => identity.refresh('a')],
    ['setPassword', (identity) => identity.setPassword('a', goodPassword)],
    ['revoke', (identity) => identity.revoke('a')],
    ['remove', (identity) => identity.remove('a')],
  ]
  const answers: [string, number, string][] = [
    ['throttled', 400, '{"__type":"TooManyRequestsException","message":"Rate exceeded"}'],
    ['over a limit', 400, '{"__type":"LimitExceededException","message":"Attempt limit exceeded"}'],
    ['throttled by name', 400, '{"__type":"ThrottlingException"}'],
    ['throttled by status', 429, '<html>'],
    ['internal error', 500, '{"__type":"InternalErrorException"}'],
    ['bad gateway', 502, '<html>'],
    ['unavailable', 503, ''],
    ['trigger throttled', 400, '{"__type":"UnexpectedLambdaException","message":"429"}'],
    ['torn body', 200, '{"AuthenticationResult":{"AccessTok'],
  ]
  const unavailable = domainError('temporarily_unavailable')

  test.each(answers)('%s', async (_, status, body) => {
    const { url } = await answering(() => [status, body])
    const identity = cognitoIdentity({ ...noPool, client: clientOf(url) })
    for (const [, call] of calls) await expect(call(identity)).rejects.toEqual(unavailable)
  })

  test('connection refused', async () => {
    const { url, close } = await listen(() => {})
    await close()
    const identity = cognitoIdentity({ ...noPool, client: clientOf(url) })
    for (const [, call] of calls) await expect(call(identity)).rejects.toEqual(unavailable)
  })

  test('connection cut', async () => {
    const server = createServer((socket) => socket.destroy()).listen(0, '127.0.0.1')
    await new Promise((resolve) => server.once('listening', resolve))
    toClose.push(() => server.close())
    const { port } = server.address() as { port: number }
    const identity = cognitoIdentity({ ...noPool, client: clientOf(`http://127.0.0.1:${port}`) })
    for (const [, call] of calls) await expect(call(identity)).rejects.toEqual(unavailable)
  })

  test.each([
    ['no answer in time', (_: ServerResponse) => {}],
    ['an answer that stops half-way', (response: ServerResponse) => void response.write('{"Authent')],
  ])('%s', async (_, answer) => {
    const { url, close } = await listen((_, response) => answer(response))
    toClose.push(close)
    const client = new CognitoIdentityProviderClient({
      endpoint: url,
      region: 'eu-west-1',
      credentials,
      maxAttempts: 1,
      requestHandler: { socketTimeout: 20 },
    })
    const identity = cognitoIdentity({ ...noPool, client })
    for (const [, call] of calls) await expect(call(identity)).rejects.toEqual(unavailable)
  })

  test.each([
    ['AccessDeniedException', 'no permission'],
    ['InvalidUserPoolConfigurationException', 'trigger missing'],
    ['UnsupportedOperationException', 'revocation is off'],
  ])('but %s is thrown unchanged', async (name, message) => {
    const { url } = await answering(() => [400, JSON.stringify({ __type: name, message })])
    const identity = cognitoIdentity({ ...noPool, client: clientOf(url) })
    for (const [, call] of calls) await expect(call(identity)).rejects.toMatchObject({ name, message })
  })

  test.each([
    ['PasswordResetRequiredException', undefined],
    ['UserNotConfirmedException', undefined],
    ['UserNotFoundException', undefined],
  ])('and %s on a sign-in is a refusal', async (name, expected) => {
    const { url } = await answering(() => [400, JSON.stringify({ __type: name })])
    const identity = cognitoIdentity({ ...noPool, client: clientOf(url) })
    expect(await identity.signIn('a', goodPassword)).toBe(expected)
  })

  test('a token without origin_jti is an error, because its session could never be ended', async () => {
    const token = (claims: object) => `e30.${Buffer.from(JSON.stringify(claims)).toString('base64url')}.x`
    let claims: object = { username: 'a', origin_jti: 's' }
    const { url } = await answering(() => [
      200,
      JSON.stringify({
        AuthenticationResult: { AccessToken: token(claims), RefreshToken: 'r', ExpiresIn: 900 },
      }),
    ])
    const identity = cognitoIdentity({ ...noPool, client: clientOf(url) })
    expect(await identity.signIn('a', goodPassword)).toMatchObject({ accountId: 'a', sessionId: 's' })
    claims = { username: 'a' }
    await expect(identity.signIn('a', goodPassword)).rejects.toThrow(/origin_jti/)
    await expect(identity.refresh('r')).rejects.toThrow(/origin_jti/)
  })
})

const noPool = { userPoolId: 'eu-west-1_Nowhere00', clientId: 'c', clientSecret: 's' }

async function answering(answer: () => [status: number, body: string]): Promise<{ url: string }> {
  const listener = await listen(async (request, response) => {
    await readBody(request)
    const [status, body] = answer()
    response.writeHead(status, { 'content-type': 'application/x-amz-json-1.1' }).end(body)
  })
  toClose.push(listener.close)
  return listener
}

function stubEnvironment(url: string): void {
  vi.stubEnv('AWS_REGION', 'eu-west-1')
  vi.stubEnv('AWS_ACCESS_KEY_ID', 'local')
  vi.stubEnv('AWS_SECRET_ACCESS_KEY', 'local')
  vi.stubEnv('AWS_ENDPOINT_URL_COGNITO_IDENTITY_PROVIDER', url)
}
