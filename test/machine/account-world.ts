import { readAccount } from '../../core/account/account.ts'
import { emailKey, usernameKey } from '../../core/account/fields.ts'
import { newAccount } from '../../core/account/new-account.ts'
import { randomIds } from '../../core/adapters/ids.ts'
import { passwordHashes } from '../../core/adapters/password-hashes.ts'
import { otpauthTotp } from '../../core/adapters/totp.ts'
import { webauthnPasskeys } from '../../core/adapters/webauthn.ts'
import { DomainError } from '../../core/errors.ts'
import type { Email, Identity, Ports, Secrets, Tokens } from '../../core/ports.ts'
import { keys, OUT_EVENT_PREFIX } from '../../core/table/keys.ts'
import type { Item, Table } from '../../core/table/table.ts'
import { keyringOf } from '../support/keyrings.ts'
import { recordingLog } from '../support/log.ts'
import { memoryTable } from './memory-table.ts'

export const ORIGIN = 'https://app.example'
export const EMAIL = 'ada@example.com'
export const PASSWORD = 'Correct-horse1!'
/** The session of the account's owner, which has begun when the world does. */
export const SESSION = 'session'

/** Secrets that only the account opens for which they were sealed. */
const secrets: Secrets = {
  encrypt: async (accountId, plaintext) => JSON.stringify([accountId, plaintext]),
  async decrypt(accountId, sealed) {
    const [owner, plaintext] = JSON.parse(sealed)
    if (owner !== accountId) throw new Error('a secret of another account')
    return plaintext
  },
}

/** A vault with passwords by account. It says what was revoked. */
function vaultOf(passwords: Map<string, string>) {
  let made = 0
  const revoked: string[] = []
  const tokensOf = (accountId: string): Tokens => {
    made += 1
    return {
      ...{ accountId, sessionId: `signed-in-${made}`, expiresInSeconds: 900 },
      ...{ accessToken: `access-${made}`, refreshToken: `refresh-${made}` },
    }
  }
  const identity: Identity = {
    async enroll(accountId, password) {
      passwords.set(accountId, password)
    },
    signIn: async (accountId, password) =>
      passwords.get(accountId) === password ? tokensOf(accountId) : undefined,
    signInVerified: async (accountId) => (passwords.has(accountId) ? tokensOf(accountId) : undefined),
    refresh: async () => undefined,
    async setPassword(accountId, password) {
      passwords.set(accountId, password)
    },
    async revoke(refreshToken) {
      revoked.push(refreshToken)
    },
    async remove(accountId) {
      passwords.delete(accountId)
    },
  }
  return { identity, revoked }
}

/**
 * One confirmed account with a session, in a table in memory, and every port that credentials need, in this process: what
 * takes a second with requests takes milliseconds here.
 */
export async function openAccountWorld(profileChange: Item = {}, address: string | undefined = '192.0.2.1') {
  let nowMs = Date.UTC(2026, 10, 21, 12)
  const clock = { nowMs: () => nowMs, wait: () => new Promise<void>((resolve) => setImmediate(resolve)) }
  const memory = memoryTable()
  const { log, lines } = recordingLog(clock.nowMs)
  const passwords = new Map<string, string>()
  const { identity, revoked } = vaultOf(passwords)
  const mails: Email[] = []
  const ports = {
    ...{ table: memory as Table, clock, ids: randomIds(clock), log, secrets, identity },
    ...{ keyring: keyringOf('5'.repeat(64)), totp: otpauthTotp('Acme'), passwordHashes },
    ...{ passkeys: webauthnPasskeys({ appUrl: ORIGIN }), relyingParty: { id: 'app.example', name: 'Acme' } },
    mail: { appUrl: ORIGIN, appName: 'Acme', send: async (mail: Email) => void mails.push(mail) },
    origin: { by: 'owner', ip: address },
  } as unknown as Ports
  const { profile, quota, keyLookup } = newAccount(ports, { username: 'ada', email: EMAIL })
  const { id } = profile
  passwords.set(id, PASSWORD)
  await memory.putAll([
    {
      ...keys.profile(id),
      ...profile,
      ...{ status: 'active', emailVerified: true },
      sessions: { [SESSION]: { sinceMs: nowMs, provedMs: nowMs } },
      ...profileChange,
    },
    { ...keys.emailGuard(emailKey(EMAIL)), accountId: id },
    { ...keys.usernameGuard(usernameKey('ada')), accountId: id },
    quota,
    keyLookup,
  ])
  const account = async () =>
    (await readAccount(ports, id)) ?? Promise.reject(new Error('the account is gone'))
  const items = (prefix: string) => memory.list(keys.account(id), prefix)
  return {
    ...{ id, ports, memory, account, items, revoked, mails, lines, nowMs: clock.nowMs },
    advance: (ms: number) => {
      nowMs += ms
    },
    caller: async (sessionId = SESSION) => ({ account: await account(), sessionId }),
    profile: async () => (await memory.get(keys.profile(id))) ?? {},
    /** Changes attributes of the profile behind the back of everything. */
    async set(change: Item) {
      await memory.put({ ...(await memory.get(keys.profile(id))), ...change })
    },
    /** The events that `work` announces, the notices that the owner gets, and what the audit log says. */
    async announced(work: () => Promise<unknown>) {
      const read = async () => [await items(OUT_EVENT_PREFIX), await items('NOTICE#'), await items('AUDIT#')]
      const before = (await read()).flat().map(({ sk }) => sk)
      await work()
      const [events, notices, audit] = (await read()).map((all) =>
        all.filter(({ sk }) => !before.includes(sk)),
      )
      return {
        events: events?.map(({ type, data }) => [type, data]),
        notices: notices?.map(({ messageType }) => messageType),
        audit: audit?.map(({ action }) => action),
      }
    },
  }
}

/** The code of the refusal, or `done`. */
export const codeOf = (outcome: Promise<unknown>): Promise<string> =>
  outcome.then(
    () => 'done',
    (error: unknown) => (error instanceof DomainError ? error.code : String(error)),
  )
