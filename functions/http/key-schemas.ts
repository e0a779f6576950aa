import { isIPv4, isIPv6 } from 'node:net'
import * as z from 'zod/mini'
import { label } from '../../core/account/fields.ts'
import { KEY_METADATA_BYTES } from '../../core/keys/settings.ts'
import { optionalField } from './optional-field.ts'
import { time } from './time-schema.ts'

/** Schemas of application keys and their settings. */

/** An address or a network, such as 203.0.113.7, 203.0.113.0/24 or 2001:db8::/32. */
function isNetwork(text: string): boolean {
  const [, address = '', bits] = /^([\dA-Fa-f:.]+)(?:\/(\d{1,3}))?$/.exec(text) ?? []
  const most = isIPv4(address) ? 32 : isIPv6(address) ? 128 : -1
  return Number(bits ?? 0) <= most
}

const isSmall = (metadata: Record<string, unknown>): boolean =>
  Buffer.byteLength(JSON.stringify(metadata)) <= KEY_METADATA_BYTES

const settings = {
  enabled: z.optional(z.boolean()),
  expiresAt: optionalField(z.nullable(time())),
  scopes: optionalField(z.nullable(z.array(scope()).check(z.maxLength(20)))),
  budget: optionalField(
    z.nullable(
      z.strictObject({
        units: z.int().check(z.gte(1), z.lte(1_000_000_000_000)),
        per: z.enum(['day', 'month', 'total']),
      }),
    ),
  ),
  rate: optionalField(
    z.nullable(
      z.strictObject({
        unitsPerSecond: z.number().check(z.gte(0.001), z.lte(1_000_000)),
        burst: z.int().check(z.gte(1), z.lte(1_000_000_000)),
      }),
    ),
  ),
  ip: optionalField(
    z.nullable(
      z
        .array(
          z
            .string()
            .check(
              z.maxLength(64, { abort: true }),
              z.refine(isNetwork, 'must be an address or a network such as 203.0.113.0/24'),
            ),
        )
        .check(z.minLength(1), z.maxLength(20)),
    ),
  ),
  metadata: optionalField(
    z.nullable(
      z
        .record(z.string(), z.unknown())
        .check(z.refine(isSmall, `must have at most ${KEY_METADATA_BYTES} bytes as JSON`)),
    ),
  ),
}

/** A word that the owner of a key and the service agree on. */
function scope() {
  return z.string().check(z.regex(/^[!-~]{1,64}$/, 'must be 1 to 64 visible ASCII characters'))
}

export const newKeyBody = z.strictObject({ name: label, ...settings })
export const keyChangeBody = z.strictObject({ name: optionalField(label), ...settings }).check(
  z.refine((body) => Object.values(body).some((value) => value !== undefined), {
    path: ['name'],
    error: 'or another setting is required',
  }),
)

/** `prefix` and `last4` tell keys apart; the whole key is shown only when it is made. */
export const ownedKey = z.object({
  id: z.string(),
  name: z.string(),
  prefix: z.string(),
  last4: z.string(),
  createdAt: z.iso.datetime(),
  enabled: z.boolean(),
  expiresAt: z.nullable(z.iso.datetime()),
  scopes: z.array(z.string()),
  budget: z.nullable(z.object({ units: z.int(), per: z.enum(['day', 'month', 'total']) })),
  rate: z.nullable(z.object({ unitsPerSecond: z.number(), burst: z.int() })),
  ip: z.nullable(z.array(z.string())),
  metadata: z.nullable(z.record(z.string(), z.unknown())),
  graceUntil: z.nullable(z.iso.datetime()),
})
