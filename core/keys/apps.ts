import type { SessionCaller } from '../account/account.ts'
import { DomainError } from '../errors.ts'
import type { Deps } from '../ports.ts'
import { createKey, type OwnedKey, type ShownKey } from './application-keys.ts'
import { changeKeySettings } from './change-settings.ts'
import { KEY_METADATA_BYTES, type KeySettings } from './settings.ts'

/** A key as Skylink's page has it: a name, and the domain from which browsers use it. */
interface AppFields {
  name: string
  /** Kept in the key's metadata, which services get with each spend. An empty text takes it away. */
  corsUrl?: string | undefined
}

/**
 * Creates a further key.
 * @throws DomainError as `createKey`
 */
export const createApp = (
  deps: Deps<'table' | 'keyring'>,
  caller: SessionCaller,
  { name, corsUrl = '' }: AppFields,
  idempotencyKey: string | undefined,
): Promise<ShownKey> => createKey(deps, caller, { name, metadata: withCorsUrl({}, corsUrl) }, idempotencyKey)

/**
 * Changes the name or the domain of a key, and keeps what else its metadata has.
 * @throws DomainError `invalid_request` if the metadata has no room for the domain; as `changeKeySettings`
 */
export const changeApp = (
  deps: Deps<'table' | 'keyring'>,
  caller: SessionCaller,
  keyId: string,
  { name, corsUrl }: { [Field in keyof AppFields]?: AppFields[Field] | undefined },
): Promise<OwnedKey> =>
  changeKeySettings(deps, caller, keyId, (settings) => ({
    name,
    ...(corsUrl !== undefined && { metadata: withCorsUrl(settings, corsUrl) }),
  }))

function withCorsUrl({ metadata }: Pick<KeySettings, 'metadata'>, corsUrl: string): string | undefined {
  const { corsurl: _, ...others } = metadataOf(metadata)
  const text = JSON.stringify({ ...others, ...(corsUrl !== '' && { corsurl: corsUrl }) })
  if (Buffer.byteLength(text) > KEY_METADATA_BYTES) {
    const message = `has no room in the key's metadata, which takes ${KEY_METADATA_BYTES} bytes`
    throw new DomainError('invalid_request', { fields: [{ field: 'corsurl', message }] })
  }
  return text === '{}' ? undefined : text
}

const metadataOf = (text: string | undefined): Record<string, unknown> =>
  text === undefined ? {} : (JSON.parse(text) as Record<string, unknown>)

/** The domain of a key; undefined if it has none. */
export function corsUrlOf({ settings }: Pick<OwnedKey, 'settings'>): string | undefined {
  const { corsurl } = metadataOf(settings.metadata)
  return typeof corsurl === 'string' ? corsurl : undefined
}
