import { keyHash } from '../../core/keys/key-text.ts'
import { keys } from '../../core/table/keys.ts'
import type { App } from './app.ts'
import type { SignedInPerson } from './people.ts'

/** A key in the form in which its creation shows it. */
export interface Shown {
  id: string
  name: string
  key: string
  prefix: string
  last4: string
  createdAt: string
}

/** What an owner sees of the settings of a key that has none. */
export const NO_SETTINGS = {
  enabled: true,
  expiresAt: null,
  scopes: [],
  budget: null,
  rate: null,
  ip: null,
  metadata: null,
  graceUntil: null,
}

export async function createKey(
  app: App,
  { accessToken: token }: SignedInPerson,
  name = 'a key',
  settings: object = {},
): Promise<Shown> {
  const { status, body } = await app.request('POST', '/v1/keys', { token, json: { name, ...settings } })
  if (status !== 201) throw new Error(`creating a key answered ${status}`)
  return body
}

export const defaultKey = (app: App, { accountId }: SignedInPerson): Promise<string> =>
  app.fixtures.defaultKey(accountId)

/** The hashes in the account's counter, by slot, without revisions. A key works as long as its hash is among them. */
export async function liveHashes(app: App, { accountId }: SignedInPerson): Promise<Record<string, string>> {
  const quota = (await (await app.ports()).table.get(keys.quota(accountId))) ?? {}
  const hashes = Object.entries(quota)
    .filter(([name]) => /^h\d+$/.test(name))
    .sort()
  return Object.fromEntries(
    hashes.map(([name, hash]) => [name, Buffer.from(hash as Uint8Array).toString('hex', 0, 12)]),
  )
}

/** The keys among these that a consume request accepts now. */
export async function liveKeys(app: App, person: SignedInPerson, texts: string[]): Promise<string[]> {
  const hashes = Object.values(await liveHashes(app, person))
  return texts.filter((text) => hashes.includes(keyHash(text).toString('hex')))
}
