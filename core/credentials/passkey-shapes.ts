import * as z from 'zod/mini'
import { bytesOfBase64url } from '../base64url.ts'

/**
 * What browsers answer, as `PublicKeyCredential.toJSON()` writes it (WebAuthn Level 3). Members that we do not read
 * are dropped, not refused: browsers add more with time.
 */

const base64url = (maxLength: number) =>
  z.string().check(
    z.minLength(1),
    z.maxLength(maxLength),
    z.regex(/^[\w-]+$/, 'must be base64url'),
    z.refine((text) => bytesOfBase64url(text) !== undefined, 'must be base64url'),
  )

/**
 * Up to 255 bytes. The standard allows 1,023, but ids of that length hold the key itself, for devices that do not
 * keep it, and a passkey is kept.
 */
const credentialId = base64url(340)

const credential = { id: credentialId, rawId: credentialId, type: z.literal('public-key') }

/** A signature by a passkey. */
export const assertion = z.object({
  ...credential,
  response: z.object({
    clientDataJSON: base64url(4_096),
    authenticatorData: base64url(2_048),
    signature: base64url(1_024),
    userHandle: z.optional(base64url(128)),
  }),
})

/** A new passkey. */
export const attestation = z.object({
  ...credential,
  response: z.object({ clientDataJSON: base64url(4_096), attestationObject: base64url(8_192) }),
})

/** COSE algorithms of passkeys in the order of preference: EdDSA, ES256 and RS256, which every browser can. */
export const PASSKEY_ALGORITHMS = [-8, -7, -257]
