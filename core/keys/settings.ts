import { DomainError } from '../errors.ts'
import { isInNetworks } from './networks.ts'

/** The longest grace period of a rotation, seconds: a week. */
export const GRACE_MOST_SECONDS = 604_800

/** The most bytes of a key's metadata, as JSON. */
export const KEY_METADATA_BYTES = 1024

/** Units that a key may use in a period: a day or a month (UTC), or in all. */
export interface KeyBudget {
  units: number
  per: 'day' | 'month' | 'total'
}

/** A token bucket: units that refill each second, and the most that it holds. */
export interface KeyRate {
  unitsPerSecond: number
  burst: number
}

/** What the write that spends has to hold for a key. */
export interface KeyLimits {
  budget?: KeyBudget
  rate?: KeyRate
}

/** What the owner of an application key has set. A setting that is absent limits nothing. */
export interface KeySettings extends KeyLimits {
  /** From this moment on the key is refused, epoch ms. */
  expiresAtMs?: number
  /** Words that `requires` of a request asks for. */
  scopes?: string[]
  /** Addresses and networks in CIDR notation from which the key works. */
  ip?: string[]
  /** A JSON object as text, because DynamoDB does not store every number. */
  metadata?: string
  /** Only there while the owner has switched the key off. */
  disabled?: true
}

/** What an owner changes. A setting that is no property stays as it is, and the value undefined removes it. */
export interface SettingsChange {
  name?: string | undefined
  enabled?: boolean | undefined
  expiresAtMs?: number | undefined
  scopes?: string[] | undefined
  ip?: string[] | undefined
  metadata?: string | undefined
  budget?: KeyBudget | undefined
  rate?: KeyRate | undefined
}

/**
 * The settings after a change.
 * @throws DomainError `invalid_request` if another expiry is set that has passed already
 */
export function changedSettings(settings: KeySettings, change: SettingsChange, nowMs: number): KeySettings {
  const { name: _, enabled = !settings.disabled, ...rest } = change
  const { expiresAtMs } = rest
  if (expiresAtMs !== undefined && expiresAtMs !== settings.expiresAtMs && expiresAtMs <= nowMs)
    throw new DomainError('invalid_request', {
      fields: [{ field: 'expiresAt', message: 'has passed already' }],
    })
  const all = { ...settings, ...rest, disabled: enabled ? undefined : true }
  return Object.fromEntries(
    Object.entries(all).filter(([, value]) => value !== undefined && !isEmptyList(value)),
  ) as KeySettings
}

const isEmptyList = (value: unknown): boolean => Array.isArray(value) && value.length === 0

/** What a request says of its caller besides the key itself. */
export interface Demands {
  /** Scopes that the key must have. */
  requires?: readonly string[] | undefined
  /** The address that the caller's request comes from. */
  ip?: string | undefined
}

/**
 * Checks a request against the settings of its key. If several refusals apply, the first in this order wins.
 * @throws DomainError `key_expired`, `key_disabled`, `ip_not_allowed`, `insufficient_scope`
 */
export function requireAllowed(settings: KeySettings, { requires = [], ip }: Demands, nowMs: number): void {
  const { expiresAtMs = Infinity, disabled, scopes = [] } = settings
  if (expiresAtMs <= nowMs) throw new DomainError('key_expired')
  if (disabled) throw new DomainError('key_disabled')
  if (settings.ip && !isInNetworks(settings.ip, ip)) throw new DomainError('ip_not_allowed')
  const missing = requires.filter((scope) => !scopes.includes(scope))
  if (missing.length > 0)
    throw new DomainError('insufficient_scope', {
      detail: `The application key lacks: ${[...new Set(missing)].join(', ')}. Nothing was spent. Add the scope with PUT /v1/keys/{id}, or use another key.`,
      members: { missing: [...new Set(missing)] },
    })
}

/** Bytes of a revision: the shorter form lasts for the first 65,535 changes. */
const [SHORT, LONG] = [2, 4]

/**
 * What the counter holds of a key: its hash, and the revision of its settings. So a write that spends can check that
 * the key is live and that its settings are still those that the request was checked against.
 * @param revision number of changes of the settings; 0, which takes no byte, for a key that never had any.
 */
export function keyStamp(hash: Uint8Array, revision: number): Buffer {
  if (revision === 0) return Buffer.from(hash)
  const bytes = Buffer.alloc(revision < 2 ** (8 * SHORT) ? SHORT : LONG)
  bytes.writeUIntBE(revision, 0, bytes.length)
  return Buffer.concat([hash, bytes])
}
