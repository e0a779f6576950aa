/**
 * What the root secret is for. The deployment derives a key for each, and gives a function those that its code names. A
 * MAC's purpose begins with `mac:`, that of what is encrypted with `seal:`.
 */
export const PURPOSES = [
  'mac:code',
  'mac:credential-check',
  'mac:import',
  'mac:imported-user',
  'mac:key-check',
  'mac:limit',
  'mac:link',
  'mac:log-source',
  'mac:mail-lane',
  'mac:mailbox',
  'mac:owner-network',
  'mac:request',
  'mac:reservation',
  'mac:reset',
  'mac:restore',
  'mac:session-name',
  'mac:session-name-proof',
  'mac:session-proof',
  'mac:shown-to-vault',
  'mac:tries-from',
  'mac:two-factor-off',
  'mac:username',
  'mac:verified-sign-in',
  'seal:answer',
  'seal:default-key',
  'seal:event-endpoint',
  'seal:imported-password',
  'seal:passkey-challenge',
  'seal:registered-password',
] as const

export type Purpose = (typeof PURPOSES)[number]
export type MacPurpose = Extract<Purpose, `mac:${string}`>
export type SealPurpose = Extract<Purpose, `seal:${string}`>

/** The keys of one root secret: its version, and 32 bytes in base64url by purpose. */
export type SecretKeys = [version: string, keys: Partial<Record<Purpose, string>>]
