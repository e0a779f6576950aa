/**
 * Password hashes that another system has made, in their usual encoded forms:
 *
 *     $2b$12$<salt and hash, 53 characters>                   bcrypt, also $2a$ and $2y$
 *     $scrypt$ln=15,r=8,p=1$<salt>$<hash>                     PHC, base64 without padding; N is 2 to the power of ln
 *     $argon2id$v=19$m=65536,t=3,p=4$<salt>$<hash>            PHC; memory in KiB
 *
 * Whoever imports a hash chooses what it costs to verify. So memory and work are bounded here: no hash can exhaust the
 * function that verifies it, which has 1 GB of memory and half a minute.
 */
export type PasswordHash =
  | { kind: 'bcrypt'; encoded: string }
  | { kind: 'scrypt'; N: number; r: number; p: number; salt: Buffer; hash: Buffer }
  | { kind: 'argon2id'; memoryKib: number; passes: number; lanes: number; salt: Buffer; hash: Buffer }

/** Costs up to these are accepted: about two seconds of the function's CPU each. */
const BCRYPT_COST = { min: 4, max: 14 }
const SCRYPT_MEMORY_BYTES = 128 * 2 ** 20
/** N times r times p. */
const SCRYPT_WORK = 2 ** 22
const ARGON2_MEMORY_KIB = 256 * 1024
/** Memory times passes, KiB. */
const ARGON2_WORK_KIB = 1024 * 1024
const MOST_LANES = 64

/** Bytes. */
const SALT_LENGTH = { min: 8, max: 64 }
const HASH_LENGTH = { min: 16, max: 64 }

/** The longest encoded hash, characters. */
export const PASSWORD_HASH_MAX = 256

const BCRYPT = /^\$2[aby]\$(\d\d)\$[./A-Za-z0-9]{53}$/
const SCRYPT = /^\$scrypt\$ln=(\d{1,2}),r=(\d{1,4}),p=(\d{1,4})\$([A-Za-z0-9+/]+)\$([A-Za-z0-9+/]+)$/
const ARGON2ID = /^\$argon2id\$v=19\$m=(\d{1,7}),t=(\d{1,4}),p=(\d{1,3})\$([A-Za-z0-9+/]+)\$([A-Za-z0-9+/]+)$/

/**
 * Reads an encoded hash.
 * @returns what is wrong with it, as the end of a sentence, if it is none of the known forms or costs too much.
 */
export function parsePasswordHash(encoded: string): PasswordHash | { refused: string } {
  if (encoded.length > PASSWORD_HASH_MAX) return { refused: UNKNOWN }
  const bcrypt = BCRYPT.exec(encoded)
  if (bcrypt) return bcryptOf(encoded, Number(bcrypt[1]))
  const scrypt = SCRYPT.exec(encoded)
  if (scrypt) return scryptOf(scrypt)
  const argon2id = ARGON2ID.exec(encoded)
  return argon2id ? argon2idOf(argon2id) : { refused: UNKNOWN }
}

const UNKNOWN = 'must be a bcrypt, scrypt or argon2id hash in its encoded form'

const within = (value: number, { min, max }: { min: number; max: number }): boolean =>
  value >= min && value <= max

function bcryptOf(encoded: string, cost: number): ReturnType<typeof parsePasswordHash> {
  if (within(cost, BCRYPT_COST)) return { kind: 'bcrypt', encoded }
  return { refused: `must have a cost of ${BCRYPT_COST.min} to ${BCRYPT_COST.max}` }
}

function scryptOf([, ln, r_, p_, salt_, hash_]: RegExpExecArray): ReturnType<typeof parsePasswordHash> {
  const [N, r, p] = [2 ** Number(ln), Number(r_), Number(p_)]
  const [salt, hash] = [bytesOf(salt_), bytesOf(hash_)]
  if (!salt || !hash || !areSizesUsual(salt, hash)) return { refused: WRONG_BYTES }
  // RFC 7914, section 2: N is greater than 1 and less than 2^(16 r).
  const isDefined = N > 1 && r > 0 && p > 0 && Number(ln) < 16 * r
  if (!isDefined || 128 * N * r > SCRYPT_MEMORY_BYTES || N * r * p > SCRYPT_WORK)
    return { refused: 'must take at most 128 MiB, with N times r times p at most 4194304' }
  return { kind: 'scrypt', N, r, p, salt, hash }
}

function argon2idOf([, m, t, p, salt_, hash_]: RegExpExecArray): ReturnType<typeof parsePasswordHash> {
  const [memoryKib, passes, lanes] = [Number(m), Number(t), Number(p)]
  const [salt, hash] = [bytesOf(salt_), bytesOf(hash_)]
  if (!salt || !hash || !areSizesUsual(salt, hash)) return { refused: WRONG_BYTES }
  // RFC 9106, section 3.1: at least 8 KiB for each lane.
  const isDefined = passes > 0 && within(lanes, { min: 1, max: MOST_LANES }) && memoryKib >= 8 * lanes
  if (!isDefined || memoryKib > ARGON2_MEMORY_KIB || memoryKib * passes > ARGON2_WORK_KIB)
    return { refused: 'must take at most 256 MiB, with m times t at most 1048576, and at most 64 lanes' }
  return { kind: 'argon2id', memoryKib, passes, lanes, salt, hash }
}

const WRONG_BYTES =
  'must have a salt of 8 to 64 bytes and a hash of 16 to 64 bytes, in base64 without padding'

const areSizesUsual = (salt: Buffer, hash: Buffer): boolean =>
  within(salt.length, SALT_LENGTH) && within(hash.length, HASH_LENGTH)

/** Node ignores spare bits, so the bytes are compared with the text. */
function bytesOf(base64: string | undefined): Buffer | undefined {
  const bytes = Buffer.from(base64 ?? '', 'base64')
  return bytes.toString('base64').replaceAll('=', '') === base64 ? bytes : undefined
}
