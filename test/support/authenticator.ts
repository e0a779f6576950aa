import { createHash, generateKeyPairSync, type KeyObject, randomBytes, sign } from 'node:crypto'

/**
 * An authenticator in software, with the browser in front of it: it makes passkeys and answers challenges as
 * WebAuthn Level 3 says, in the JSON of `PublicKeyCredential.toJSON()`. `lie` replaces parts of what a browser or an
 * authenticator would truthfully say.
 */

export interface CreationOptions {
  challenge: string
  rp: { id: string }
  user: { id: string }
}

export interface RequestOptions {
  challenge: string
  rpId: string
}

/** What an answer says other than the truth. */
export interface Lie {
  origin?: string
  rpId?: string
  type?: string
  challenge?: string
  crossOrigin?: boolean
  topOrigin?: string
  userVerified?: boolean
  userPresent?: boolean
  counter?: number
  synced?: boolean
  backedUp?: boolean
  userHandle?: string | null
  /** Signs with this passkey's key instead of the own one. */
  signer?: Passkey
  /** Signs the passkey with its own key, as some authenticators do unasked (`packed` without a certificate). */
  selfAttested?: true
  /** Attestation format and statement. */
  attestation?: Attestation
  /** The id in the JSON, if not the credential's own. */
  id?: string
}

interface Attestation {
  fmt: string
  attStmt: Cbor
}

export interface Passkey {
  id: string
  rpId: string
  userHandle: string
  key: KeyObject
  alg: Algorithm
  counter: number
}

export type Algorithm = 'ES256' | 'EdDSA' | 'RS256' | 'ES384'

export interface AuthenticatorOptions {
  /** The page that calls it. */
  origin: string
  alg?: Algorithm
  /** Whether passkeys are copied to other devices. Their counter is 0 then. */
  synced?: boolean
  /** Length of the credentials' ids in bytes. */
  idBytes?: number
}

const [PRESENT, VERIFIED, ELIGIBLE, BACKED_UP, ATTESTED] = [1, 4, 8, 16, 64]

export type Authenticator = ReturnType<typeof newAuthenticator>

export function newAuthenticator({
  origin,
  alg = 'ES256',
  synced = true,
  idBytes = 16,
}: AuthenticatorOptions) {
  function authenticatorData(lie: Lie, rpId: string, counter: number, attested?: Buffer): Buffer {
    const isSynced = lie.synced ?? synced
    const flags =
      ((lie.userPresent ?? true) ? PRESENT : 0) +
      ((lie.userVerified ?? true) ? VERIFIED : 0) +
      (isSynced ? ELIGIBLE : 0) +
      ((lie.backedUp ?? isSynced) ? BACKED_UP : 0) +
      (attested ? ATTESTED : 0)
    const count = Buffer.alloc(4)
    count.writeUInt32BE(lie.counter ?? counter)
    return Buffer.concat([sha256(lie.rpId ?? rpId), Buffer.of(flags), count, attested ?? Buffer.alloc(0)])
  }

  const clientData = (lie: Lie, type: string, challenge: string): Buffer =>
    Buffer.from(
      JSON.stringify({
        type: lie.type ?? type,
        challenge: lie.challenge ?? challenge,
        origin: lie.origin ?? origin,
        crossOrigin: lie.crossOrigin ?? false,
        ...(lie.topOrigin !== undefined && { topOrigin: lie.topOrigin }),
      }),
    )

  const passkeys: Passkey[] = []

  return {
    passkeys,

    /** `navigator.credentials.create`. */
    create({ challenge, rp, user }: CreationOptions, lie: Lie = {}) {
      const { publicKey, privateKey: key } = keyPair(alg)
      const id = randomBytes(idBytes)
      passkeys.push({ id: text(id), rpId: rp.id, userHandle: user.id, key, alg, counter: 0 })
      const length = Buffer.alloc(2)
      length.writeUInt16BE(id.length)
      const attested = Buffer.concat([Buffer.alloc(16), length, id, cbor(coseKey(publicKey, alg))])
      const authData = authenticatorData(lie, rp.id, 0, attested)
      const clientDataJSON = clientData(lie, 'webauthn.create', challenge)
      const self = (): Attestation => ({
        fmt: 'packed',
        attStmt: new Map<string, Cbor>([
          ['alg', -7],
          ['sig', sign('sha256', Buffer.concat([authData, sha256(clientDataJSON)]), key)],
        ]),
      })
      const { fmt, attStmt } =
        lie.attestation ?? (lie.selfAttested ? self() : { fmt: 'none', attStmt: new Map() })
      const attestationObject = cbor(
        new Map<string, Cbor>([
          ['fmt', fmt],
          ['attStmt', attStmt],
          ['authData', authData],
        ]),
      )
      return {
        id: lie.id ?? text(id),
        rawId: lie.id ?? text(id),
        type: 'public-key',
        authenticatorAttachment: 'platform',
        clientExtensionResults: { credProps: { rk: true } },
        response: {
          clientDataJSON: text(clientDataJSON),
          attestationObject: text(attestationObject),
          authenticatorData: text(authData),
          publicKey: text(publicKey.export({ type: 'spki', format: 'der' })),
          publicKeyAlgorithm: -7,
          transports: ['internal', 'hybrid'],
        },
      }
    },

    /** `navigator.credentials.get`. @param passkey the one that its user picks; the newest by default. */
    get({ challenge, rpId }: RequestOptions, lie: Lie = {}, passkey = passkeys.at(-1)) {
      if (!passkey) throw new Error('the authenticator has no passkey')
      if (!synced) passkey.counter += 1
      const authData = authenticatorData(lie, rpId, passkey.counter)
      const clientDataJSON = clientData(lie, 'webauthn.get', challenge)
      const signed = Buffer.concat([authData, sha256(clientDataJSON)])
      const { userHandle = passkey.userHandle } = lie
      return {
        id: lie.id ?? passkey.id,
        rawId: lie.id ?? passkey.id,
        type: 'public-key',
        authenticatorAttachment: 'platform',
        clientExtensionResults: {},
        response: {
          clientDataJSON: text(clientDataJSON),
          authenticatorData: text(authData),
          signature: text(signatureBy(lie.signer ?? passkey, signed)),
          ...(userHandle !== null && { userHandle }),
        },
      }
    },
  }
}

const text = (bytes: Buffer): string => bytes.toString('base64url')
const sha256 = (data: string | Buffer): Buffer => createHash('sha256').update(data).digest()

function keyPair(alg: Algorithm) {
  if (alg === 'EdDSA') return generateKeyPairSync('ed25519')
  if (alg === 'RS256') return generateKeyPairSync('rsa', { modulusLength: 2048 })
  return generateKeyPairSync('ec', { namedCurve: alg === 'ES256' ? 'P-256' : 'P-384' })
}

const signatureBy = ({ key, alg }: Passkey, data: Buffer): Buffer =>
  sign(alg === 'EdDSA' ? null : alg === 'ES384' ? 'sha384' : 'sha256', data, key)

/** A public key as COSE writes it (RFC 9053). */
function coseKey(publicKey: KeyObject, alg: Algorithm): Cbor {
  const { x = '', y = '', n = '', e = '' } = publicKey.export({ format: 'jwk' })
  const bytes = (part: string) => Buffer.from(part, 'base64url')
  if (alg === 'EdDSA')
    return new Map<number, Cbor>([
      [1, 1],
      [3, -8],
      [-1, 6],
      [-2, bytes(x)],
    ])
  if (alg === 'RS256')
    return new Map<number, Cbor>([
      [1, 3],
      [3, -257],
      [-1, bytes(n)],
      [-2, bytes(e)],
    ])
  return new Map<number, Cbor>([
    [1, 2],
    [3, alg === 'ES256' ? -7 : -35],
    [-1, alg === 'ES256' ? 1 : 2],
    [-2, bytes(x)],
    [-3, bytes(y)],
  ])
}

export type Cbor = number | string | Buffer | Cbor[] | Map<string | number, Cbor>

/** CBOR (RFC 8949) of the few types that WebAuthn uses. */
function cbor(value: Cbor): Buffer {
  if (typeof value === 'number') return value < 0 ? head(1, -1 - value) : head(0, value)
  if (Buffer.isBuffer(value)) return Buffer.concat([head(2, value.length), value])
  if (typeof value === 'string') {
    const bytes = Buffer.from(value)
    return Buffer.concat([head(3, bytes.length), bytes])
  }
  if (Array.isArray(value)) return Buffer.concat([head(4, value.length), ...value.map(cbor)])
  return Buffer.concat([head(5, value.size), ...[...value].flat(1).map(cbor)])
}

/** The type of an item with its number or length. */
function head(type: number, count: number): Buffer {
  const first = type << 5
  if (count < 24) return Buffer.of(first + count)
  if (count < 0x100) return Buffer.of(first + 24, count)
  return Buffer.of(first + 25, count >> 8, count & 0xff)
}
