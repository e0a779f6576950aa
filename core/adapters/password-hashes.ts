import { argon2, scrypt, timingSafeEqual } from 'node:crypto'
import { promisify } from 'node:util'
import { compare } from 'bcryptjs'
import type { PasswordHash } from '../credentials/password-hash.ts'
import type { PasswordHashes } from '../ports.ts'

/** Node refuses scrypt beyond its own limit of 32 MiB unless it is told another; `parsePasswordHash` has bounded it. */
const SCRYPT_LIMIT_BYTES = 256 * 2 ** 20

const deriveScrypt = promisify<string, Buffer, number, object, Buffer>(scrypt)
const deriveArgon2 = promisify(argon2)

/** `PasswordHashes` by Node's own scrypt and Argon2, and by bcryptjs, since Node has no bcrypt. */
export const passwordHashes: PasswordHashes = {
  async verify(hash, password) {
    // Like every other implementation, bcryptjs looks at the first 72 bytes of the password only.
    if (hash.kind === 'bcrypt') return compare(password, hash.encoded)
    return timingSafeEqual(await derive(hash, password), hash.hash)
  },
}

function derive(hash: Exclude<PasswordHash, { kind: 'bcrypt' }>, password: string): Promise<Buffer> {
  if (hash.kind === 'scrypt') {
    const { N, r, p, salt } = hash
    return deriveScrypt(password, salt, hash.hash.length, { N, r, p, maxmem: SCRYPT_LIMIT_BYTES })
  }
  return deriveArgon2('argon2id', {
    message: password,
    nonce: hash.salt,
    parallelism: hash.lanes,
    tagLength: hash.hash.length,
    memory: hash.memoryKib,
    passes: hash.passes,
  })
}
