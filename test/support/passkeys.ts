import type { App } from './app.ts'
import {
  type Authenticator,
  type AuthenticatorOptions,
  type Lie,
  newAuthenticator,
  type Passkey,
} from './authenticator.ts'
import type { SignedInPerson } from './people.ts'
import type { TestAnswer } from './send.ts'

/** The frontend of the local stack, on which its passkeys work. */
export const FRONTEND = 'https://app.bursar.example'

/** An authenticator on the frontend's page. */
export const authenticatorHere = (options: Partial<AuthenticatorOptions> = {}): Authenticator =>
  newAuthenticator({ origin: FRONTEND, ...options })

type Caller = Pick<SignedInPerson, 'accessToken'>

export const askOptions = (app: App, { accessToken: token }: Caller): Promise<TestAnswer> =>
  app.request('POST', '/v1/auth/passkeys/options/create', { token })

/** The answer to fresh options, as a browser would make it. */
export async function newPasskey(app: App, person: Caller, authenticator = authenticatorHere(), lie?: Lie) {
  const { status, body } = await askOptions(app, person)
  if (status !== 200) throw new Error(`the options of a passkey answered ${status}`)
  return authenticator.create(body, lie)
}

export const add = (app: App, { accessToken: token }: Caller, passkey: unknown, name = 'Laptop') =>
  app.request('POST', '/v1/auth/passkeys', { token, json: { name, passkey } })

/** Adds a passkey to a person's account. @returns the authenticator, and the passkey's id. */
export async function withPasskey<P extends SignedInPerson>(
  app: App,
  person: P,
  options: Partial<AuthenticatorOptions> = {},
): Promise<P & { authenticator: Authenticator; passkeyId: string }> {
  const authenticator = authenticatorHere(options)
  const { status, body } = await add(app, person, await newPasskey(app, person, authenticator))
  if (status !== 201) throw new Error(`adding a passkey answered ${status}`)
  return { ...person, authenticator, passkeyId: body.id }
}

/** An answer to a fresh challenge. */
export async function answerOf(
  app: App,
  { authenticator }: { authenticator: Authenticator },
  lie?: Lie,
  passkey?: Passkey,
) {
  const { body } = await app.request('POST', '/v1/auth/passkeys/options/get')
  return authenticator.get(body, lie, passkey)
}

export const signInWith = (app: App, passkey: unknown): Promise<TestAnswer> =>
  app.request('POST', '/v1/auth/login/passkey', { json: { passkey } })
