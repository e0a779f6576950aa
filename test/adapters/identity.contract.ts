import { createHmac, randomBytes } from 'node:crypto'
import {
  AdminCreateUserCommand,
  AdminDisableUserCommand,
  AdminEnableUserCommand,
  AdminInitiateAuthCommand,
  AdminRespondToAuthChallengeCommand,
  AdminSetUserPasswordCommand,
  type CognitoIdentityProviderClient,
  GetTokensFromRefreshTokenCommand,
  InitiateAuthCommand,
  RevokeTokenCommand,
} from '@aws-sdk/client-cognito-identity-provider'
import { CognitoJwtVerifier } from 'aws-jwt-verify'
import type { Jwks } from 'aws-jwt-verify/jwk'
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest'
import { cognitoIdentity } from '../../core/adapters/cognito.ts'
import { DomainError } from '../../core/errors.ts'
import type { Identity, Tokens } from '../../core/ports.ts'

/** A pool with the settings and the pre-token trigger of the deployment, and an adapter for the pool. */
export interface IdentityUnderTest {
  identity: Identity
  /** A client of the same pool for what the port cannot do: disabling users, malformed requests. */
  client: CognitoIdentityProviderClient
  userPoolId: string
  clientId: string
  clientSecret: string
  jwks: Jwks
  /** The right answer to the nonce of the custom flow. */
  answerOf(accountId: string, nonce: string): string
  close(): Promise<void>
}

export const goodPassword = 'correct-horse!7'
const otherPassword = 'battery-staple!8'

export function accountIdForTest(): string {
  return randomBytes(12).toString('hex')
}

/** The claims of a token, unverified. */
export function claimsOf(jwt: string): Record<string, unknown> {
  return JSON.parse(Buffer.from(jwt.split('.')[1] ?? '', 'base64url').toString())
}

/** Signs in and returns the tokens. @throws Error if the sign-in fails. */
export async function signedIn(
  identity: Identity,
  accountId: string,
  password = goodPassword,
): Promise<Tokens> {
  const tokens = await identity.signIn(accountId, password)
  if (!tokens || tokens === 'locked') throw new Error(`${accountId} could not sign in`)
  return tokens
}

/** For `rejects`: a DomainError of this code. */
export function domainError(code: string): unknown {
  return expect.toSatisfy((error) => error instanceof DomainError && error.code === code)
}

/** Everything that Bursar relies on, for the double and a real pool alike. */
export function identityContract(name: string, setup: () => Promise<IdentityUnderTest>): void {
  describe(name, () => {
    let pool: IdentityUnderTest
    let identity: Identity
    let created: string[] = []

    beforeAll(async () => {
      pool = await setup()
      identity = pool.identity
    })
    afterEach(async () => {
      for (const accountId of created) await identity.remove(accountId)
      created = []
    })
    afterAll(() => pool.close())

    function newId(): string {
      const accountId = accountIdForTest()
      created.push(accountId)
      return accountId
    }
    async function enrolled(): Promise<string> {
      const accountId = newId()
      await identity.enroll(accountId, goodPassword)
      return accountId
    }
    function secretHash(accountId: string, secret = pool.clientSecret): string {
      return createHmac('sha256', secret)
        .update(accountId + pool.clientId)
        .digest('base64')
    }
    function adminAuth(accountId: string, change: object = {}, parameters: object = {}) {
      return pool.client.send(
        new AdminInitiateAuthCommand({
          UserPoolId: pool.userPoolId,
          ClientId: pool.clientId,
          AuthFlow: 'ADMIN_USER_PASSWORD_AUTH',
          ...change,
          AuthParameters: {
            USERNAME: accountId,
            PASSWORD: goodPassword,
            SECRET_HASH: secretHash(accountId),
            ...parameters,
          },
        }),
      )
    }

    describe('signInVerified', () => {
      const right = (accountId: string) => (nonce: string) => pool.answerOf(accountId, nonce)

      test('with the right answer the tokens name the account, and are as those of a password', async () => {
        const accountId = await enrolled()
        const tokens = await identity.signInVerified(accountId, right(accountId))
        const claims = claimsOf(tokens?.accessToken ?? '')
        expect(tokens).toMatchObject({ accountId, sessionId: claims.origin_jti, expiresInSeconds: 900 })
        expect(claims).not.toHaveProperty('scope')
        expect(await identity.refresh(tokens?.refreshToken ?? '')).toMatchObject({ accountId })
      })

      test('a wrong answer, that of another account, and that to an earlier nonce give nothing', async () => {
        const [accountId, other] = [await enrolled(), await enrolled()]
        let earlier = ''
        const note = (nonce: string) => {
          earlier = pool.answerOf(accountId, nonce)
          return earlier
        }
        expect(await identity.signInVerified(accountId, note)).toBeDefined()
        for (const answer of [() => 'wrong', () => earlier, right(other), (nonce: string) => nonce]) {
          expect(await identity.signInVerified(accountId, answer)).toBeUndefined()
        }
      })

      test('an unknown and a disabled account get nothing for the right answer', async () => {
        const [accountId, unknown] = [await enrolled(), newId()]
        const user = { UserPoolId: pool.userPoolId, Username: accountId }
        await pool.client.send(new AdminDisableUserCommand(user))
        for (const id of [accountId, unknown]) {
          expect(await identity.signInVerified(id, right(id))).toBeUndefined()
        }
      })

      test('a nonce is answered once, whether rightly or wrongly', async () => {
        const accountId = await enrolled()
        const begin = () =>
          pool.client.send(
            new AdminInitiateAuthCommand({
              UserPoolId: pool.userPoolId,
              ClientId: pool.clientId,
              AuthFlow: 'CUSTOM_AUTH',
              AuthParameters: { USERNAME: accountId, SECRET_HASH: secretHash(accountId) },
            }),
          )
        for (const first of ['right', 'wrong']) {
          const { ChallengeParameters, Session } = await begin()
          const answer = pool.answerOf(accountId, ChallengeParameters?.nonce ?? '')
          const respond = (ANSWER: string) =>
            pool.client.send(
              new AdminRespondToAuthChallengeCommand({
                UserPoolId: pool.userPoolId,
                ClientId: pool.clientId,
                ChallengeName: 'CUSTOM_CHALLENGE',
                Session,
                ChallengeResponses: { USERNAME: accountId, ANSWER, SECRET_HASH: secretHash(accountId) },
              }),
            )
          const outcome = respond(first === 'right' ? answer : 'wrong')
          if (first === 'right') expect((await outcome).AuthenticationResult).toBeDefined()
          else await expect(outcome).rejects.toMatchObject({ name: 'NotAuthorizedException' })
          await expect(respond(answer)).rejects.toMatchObject({ name: 'NotAuthorizedException' })
        }
      })
    })

    describe('enroll and signIn', () => {
      test('an enrolled account signs in and its tokens name it, for 15 minutes', async () => {
        const accountId = await enrolled()
        const tokens = await signedIn(identity, accountId)
        const claims = claimsOf(tokens.accessToken)
        expect(tokens.accountId).toBe(accountId)
        expect(tokens.sessionId).toBe(claims.origin_jti)
        expect(tokens.expiresInSeconds).toBe(900)
        expect(Number(claims.exp) - Number(claims.iat)).toBe(900)
      })

      test('enrolling again is not an error, and the later password counts', async () => {
        const accountId = await enrolled()
        await identity.enroll(accountId, otherPassword)
        expect(await identity.signIn(accountId, goodPassword)).toBeUndefined()
        expect(await identity.signIn(accountId, otherPassword)).toBeDefined()
      })

      test.each([
        ['shorter than 8', 'short!7'],
        ['empty', ''],
        ['with white space in front', ` ${goodPassword}`],
        ['with white space behind', `${goodPassword} `],
        ['longer than 256', `!${'a'.repeat(256)}`],
      ])('a password %s is password_refused on enrolment and on change', async (_, password) => {
        const accountId = newId()
        await expect(identity.enroll(accountId, password)).rejects.toEqual(domainError('password_refused'))
        await identity.enroll(accountId, goodPassword)
        await expect(identity.setPassword(accountId, password)).rejects.toEqual(
          domainError('password_refused'),
        )
        expect(await identity.signIn(accountId, goodPassword)).toBeDefined()
      })

      test.each([
        ['8 of letters only', 'abcdefgh'],
        ['128 with spaces inside', `a b${'c'.repeat(123)}!d`],
        ['of other scripts', 'Пароль-秘密-🔑!'],
      ])('a password of %s is accepted and signs in', async (_, password) => {
        const accountId = newId()
        await identity.enroll(accountId, password)
        expect(await identity.signIn(accountId, password)).toBeDefined()
      })

      test.each([
        ['wrong', otherPassword],
        ['empty', ''],
        ['in another case', goodPassword.toUpperCase()],
        ['with white space behind', `${goodPassword} `],
        ['of 10,000 characters', 'a!'.repeat(5_000)],
      ])('a password that is %s signs nobody in', async (_, password) => {
        expect(await identity.signIn(await enrolled(), password)).toBeUndefined()
      })

      test('an unknown account cannot sign in, with the same answer as a wrong password', async () => {
        expect(await identity.signIn(newId(), goodPassword)).toBeUndefined()
        const known = await adminAuth(await enrolled(), {}, { PASSWORD: otherPassword }).catch(asText)
        const unknown = await adminAuth(newId()).catch(asText)
        expect(known).toBe('NotAuthorizedException: Incorrect username or password.')
        expect(unknown).toBe(known)
      })

      test('a disabled account can neither sign in nor refresh; an enabled one signs in again', async () => {
        const accountId = await enrolled()
        const { refreshToken } = await signedIn(identity, accountId)
        const user = { UserPoolId: pool.userPoolId, Username: accountId }
        await pool.client.send(new AdminDisableUserCommand(user))
        expect(await identity.signIn(accountId, goodPassword)).toBeUndefined()
        expect(await identity.refresh(refreshToken)).toBeUndefined()
        await pool.client.send(new AdminEnableUserCommand(user))
        expect(await identity.signIn(accountId, goodPassword)).toBeDefined()
      })

      test('a temporary password gives a challenge and no tokens', async () => {
        const accountId = newId()
        await pool.client.send(
          new AdminCreateUserCommand({
            UserPoolId: pool.userPoolId,
            Username: accountId,
            TemporaryPassword: goodPassword,
            MessageAction: 'SUPPRESS',
          }),
        )
        const answer = await adminAuth(accountId)
        expect(answer.ChallengeName).toBe('NEW_PASSWORD_REQUIRED')
        expect(answer.AuthenticationResult).toBeUndefined()
        expect(await identity.signIn(accountId, goodPassword)).toBeUndefined()
      })
    })

    describe('tokens', () => {
      const verifier = (tokenUse: 'access' | 'id', change: object = {}) => {
        const { userPoolId, clientId } = pool
        const it = CognitoJwtVerifier.create({ userPoolId, clientId, tokenUse, ...change })
        it.cacheJwks(pool.jwks)
        return it
      }

      test('the unmodified verifier accepts the access token for this client only', async () => {
        const { accessToken, accountId } = await signedIn(identity, await enrolled())
        await expect(verifier('access').verify(accessToken)).resolves.toMatchObject({ username: accountId })
        await expect(verifier('access', { clientId: 'another' }).verify(accessToken)).rejects.toThrow()
        const edited = `${accessToken.slice(0, -6)}${accessToken.endsWith('AAAAAA') ? 'BBBBBB' : 'AAAAAA'}`
        await expect(verifier('access').verify(edited)).rejects.toThrow()
      })

      test('the verifier for access tokens refuses the id token, which is a valid one', async () => {
        const answer = await adminAuth(await enrolled())
        const idToken = answer.AuthenticationResult?.IdToken ?? ''
        await expect(verifier('id').verify(idToken)).resolves.toBeDefined()
        await expect(verifier('access').verify(idToken)).rejects.toThrow()
      })

      test('an access token gives no access to Cognito, whether from sign-in or refresh', async () => {
        const first = await signedIn(identity, await enrolled())
        const second = await identity.refresh(first.refreshToken)
        for (const tokens of [first, second]) {
          const { token_use, scope = '' } = claimsOf(tokens?.accessToken ?? '')
          expect(token_use).toBe('access')
          expect(String(scope).split(' ')).not.toContain('aws.cognito.signin.user.admin')
        }
      })
    })

    describe('refresh', () => {
      test('a refresh gives a new access token of the same session, and the refresh token stays valid', async () => {
        const first = await signedIn(identity, await enrolled())
        const second = await identity.refresh(first.refreshToken)
        const third = await identity.refresh(second?.refreshToken ?? '')
        expect(second).toEqual({ ...first, accessToken: expect.any(String) })
        expect(third).toEqual({ ...first, accessToken: expect.any(String) })
        const claims = [first, second, third].map((tokens) => claimsOf(tokens?.accessToken ?? ''))
        expect(new Set(claims.map(({ jti }) => jti)).size).toBe(3)
        expect(new Set(claims.map(({ origin_jti }) => origin_jti)).size).toBe(1)
        expect(new Set(claims.map(({ auth_time }) => auth_time)).size).toBe(1)
      })

      test('two sign-ins are two sessions', async () => {
        const accountId = await enrolled()
        const [a, b] = [await signedIn(identity, accountId), await signedIn(identity, accountId)]
        expect(a.sessionId).not.toBe(b.sessionId)
        expect((await identity.refresh(a.refreshToken))?.sessionId).toBe(a.sessionId)
        expect((await identity.refresh(b.refreshToken))?.sessionId).toBe(b.sessionId)
      })

      test.each(notRefreshTokens)('%s is not a refresh token', async (_, make) => {
        const tokens = await signedIn(identity, await enrolled())
        expect(await identity.refresh(make(tokens))).toBeUndefined()
        expect(await identity.refresh(tokens.refreshToken)).toBeDefined()
      })
    })

    describe('ending sessions', () => {
      test('revoke ends that session only, and may be repeated', async () => {
        const accountId = await enrolled()
        const [a, b] = [await signedIn(identity, accountId), await signedIn(identity, accountId)]
        await identity.revoke(a.refreshToken)
        expect(await identity.refresh(a.refreshToken)).toBeUndefined()
        expect(await identity.refresh(b.refreshToken)).toBeDefined()
        await identity.revoke(a.refreshToken)
        expect(await identity.signIn(accountId, goodPassword)).toBeDefined()
      })

      test.each(notRefreshTokens)('revoking %s is not an error and ends nothing', async (_, make) => {
        const tokens = await signedIn(identity, await enrolled())
        await identity.revoke(make(tokens))
        expect(await identity.refresh(tokens.refreshToken)).toBeDefined()
      })

      test('remove deletes the account and its sessions permanently', async () => {
        const accountId = await enrolled()
        const { refreshToken } = await signedIn(identity, accountId)
        await identity.remove(accountId)
        expect(await identity.signIn(accountId, goodPassword)).toBeUndefined()
        expect(await identity.refresh(refreshToken)).toBeUndefined()
        await identity.enroll(accountId, goodPassword)
        expect(await identity.refresh(refreshToken)).toBeUndefined()
      })

      test('remove of an absent account is not an error', async () => {
        await expect(identity.remove(newId())).resolves.toBeUndefined()
      })
    })

    describe('setPassword', () => {
      test('the new password replaces the old one', async () => {
        const accountId = await enrolled()
        await identity.setPassword(accountId, otherPassword)
        expect(await identity.signIn(accountId, goodPassword)).toBeUndefined()
        expect(await identity.signIn(accountId, otherPassword)).toBeDefined()
      })

      test('an absent account is not_found and is not created', async () => {
        const accountId = newId()
        await expect(identity.setPassword(accountId, goodPassword)).rejects.toEqual(domainError('not_found'))
        expect(await identity.signIn(accountId, goodPassword)).toBeUndefined()
      })
    })

    describe('a deployment with settings of another pool gets an error, not a wrong password', () => {
      const misfit = (change: Partial<IdentityUnderTest>) => cognitoIdentity({ ...pool, ...change })

      test('wrong client secret', async () => {
        const { refreshToken, accountId } = await signedIn(identity, await enrolled())
        const wrong = misfit({ clientSecret: 'x'.repeat(50) })
        await expect(wrong.signIn(accountId, goodPassword)).rejects.toThrow(/secret/i)
        await expect(wrong.refresh(refreshToken)).rejects.toThrow()
        await expect(wrong.revoke(refreshToken)).rejects.toThrow()
        expect(await identity.refresh(refreshToken)).toBeDefined()
      })

      test('unknown client', async () => {
        const { refreshToken, accountId } = await signedIn(identity, await enrolled())
        const wrong = misfit({ clientId: 'x'.repeat(26) })
        await expect(wrong.signIn(accountId, goodPassword)).rejects.toThrow(/does not exist/)
        await expect(wrong.refresh(refreshToken)).rejects.toThrow()
        await expect(wrong.revoke(refreshToken)).rejects.toThrow()
      })

      test('unknown pool', async () => {
        const wrong = misfit({ userPoolId: `${pool.userPoolId.split('_')[0]}_Absent999` })
        const accountId = await enrolled()
        for (const call of [
          wrong.enroll(accountId, goodPassword),
          wrong.signIn(accountId, goodPassword),
          wrong.setPassword(accountId, goodPassword),
          wrong.remove(accountId),
        ]) {
          await expect(call).rejects.toMatchObject({ name: 'ResourceNotFoundException' })
        }
      })
    })

    describe('requests that the service refuses', () => {
      test.each([
        'USER_PASSWORD_AUTH',
        'USER_SRP_AUTH',
        'USER_AUTH',
        'CUSTOM_AUTH',
        'ADMIN_NO_SRP_AUTH',
      ] as const)(
        'AdminInitiateAuth refuses the flow %s, which the client does not enable',
        async (AuthFlow) => {
          const call = adminAuth(await enrolled(), { AuthFlow }, { SRP_A: 'abc' })
          await expect(call).rejects.toMatchObject({ name: 'InvalidParameterException' })
        },
      )

      test('InitiateAuth, which needs no AWS credentials, accepts no password', async () => {
        const accountId = await enrolled()
        const AuthParameters = {
          USERNAME: accountId,
          PASSWORD: goodPassword,
          SECRET_HASH: secretHash(accountId),
        }
        for (const AuthFlow of ['USER_PASSWORD_AUTH', 'ADMIN_USER_PASSWORD_AUTH'] as const) {
          const call = new InitiateAuthCommand({ ClientId: pool.clientId, AuthFlow, AuthParameters })
          await expect(pool.client.send(call)).rejects.toMatchObject({ name: 'InvalidParameterException' })
        }
      })

      test('the secret hash must be present and right, whatever the password', async () => {
        const accountId = await enrolled()
        for (const SECRET_HASH of [undefined, 'wrong', secretHash(newId()), secretHash(accountId, 'other')]) {
          await expect(adminAuth(accountId, {}, { SECRET_HASH })).rejects.toThrow(
            expect.objectContaining({
              name: 'NotAuthorizedException',
              message: expect.stringMatching(/secret/i),
            }),
          )
        }
      })

      test('a refresh or a revocation without the client secret is refused', async () => {
        const { refreshToken } = await signedIn(identity, await enrolled())
        const { clientId: ClientId, client } = pool
        await expect(
          client.send(new GetTokensFromRefreshTokenCommand({ RefreshToken: refreshToken, ClientId })),
        ).rejects.toThrow()
        await expect(client.send(new RevokeTokenCommand({ Token: refreshToken, ClientId }))).rejects.toThrow()
        expect(await identity.refresh(refreshToken)).toBeDefined()
      })

      test('a user is created once', async () => {
        const Username = await enrolled()
        const call = new AdminCreateUserCommand({
          UserPoolId: pool.userPoolId,
          Username,
          MessageAction: 'SUPPRESS',
        })
        await expect(pool.client.send(call)).rejects.toMatchObject({ name: 'UsernameExistsException' })
      })

      test('an absent user is UserNotFoundException to an administrator', async () => {
        const user = { UserPoolId: pool.userPoolId, Username: newId() }
        for (const call of [
          pool.client.send(new AdminSetUserPasswordCommand({ ...user, Password: goodPassword })),
          pool.client.send(new AdminDisableUserCommand(user)),
          pool.client.send(new AdminEnableUserCommand(user)),
        ]) {
          await expect(call).rejects.toMatchObject({ name: 'UserNotFoundException' })
        }
      })

      test('weak and malformed passwords give two errors, which the adapter treats alike', async () => {
        const user = { UserPoolId: pool.userPoolId, Username: await enrolled(), Permanent: true }
        const put = (Password: string) =>
          pool.client.send(new AdminSetUserPasswordCommand({ ...user, Password }))
        await expect(put('short!7')).rejects.toMatchObject({ name: 'InvalidPasswordException' })
        await expect(put(` ${goodPassword}`)).rejects.toMatchObject({ name: 'InvalidParameterException' })
        await expect(put('a'.repeat(257))).rejects.toMatchObject({ name: 'InvalidParameterException' })
      })
    })
  })
}

const notRefreshTokens: [string, (tokens: Tokens) => string][] = [
  ['the empty string', () => ''],
  ['a word', () => 'garbage'],
  ['text with spaces and marks', () => 'not a token; {"$ne": null}'],
  ['an access token', (tokens) => tokens.accessToken],
  ['a cut token', (tokens) => tokens.refreshToken.slice(0, -8)],
  ['a token with another end', (tokens) => `${tokens.refreshToken.slice(0, -8)}AAAAAAAA`],
  ['a token with a segment more', (tokens) => `${tokens.refreshToken}.AAAA`],
]

function asText(error: unknown): string {
  return String(error)
}
