import { describe, expect, test } from 'vitest'
import { passwordHashes } from '../../core/adapters/password-hashes.ts'
import { parsePasswordHash } from '../../core/credentials/password-hash.ts'

const base64 = (bytes: Buffer) => bytes.toString('base64').replace(/=+$/, '')
const SALT = base64(Buffer.from('salt of the test'))
const HASH = base64(Buffer.alloc(32, 7))
const scrypt = (parameters: string, salt = SALT, hash = HASH) => `$scrypt$${parameters}$${salt}$${hash}`
const argon2id = (parameters: string, salt = SALT, hash = HASH) =>
  `$argon2id$v=19$${parameters}$${salt}$${hash}`
const bcrypt = (begin: string) => `${begin}$CCCCCCCCCCCCCCCCCCCCC.E5YPO9kmyuRGyh0XouQYb4YMJKvyOeW`

/** Vectors that others have published, each with its password. */
const published: [source: string, password: string, encoded: string][] = [
  ['bcrypt of crypt_blowfish', 'U*U', bcrypt('$2a$05')],
  ['the same as $2b$', 'U*U', bcrypt('$2b$05')],
  ['the same as $2y$', 'U*U', bcrypt('$2y$05')],
  [
    'scrypt of RFC 7914, section 12',
    'pleaseletmein',
    scrypt(
      'ln=14,r=8,p=1',
      base64(Buffer.from('SodiumChloride')),
      base64(
        Buffer.from(
          '7023bdcb3afd7348461c06cd81fd38ebfda8fbba904f8e3ea9b543f6545da1f2d5432955613f0fcf62d49705242a9af9e61e85dc0d651e40dfcf017b45575887',
          'hex',
        ),
      ),
    ),
  ],
  [
    "Argon2id of its authors' tests",
    'password',
    argon2id('m=256,t=2,p=1', 'c29tZXNhbHQ', 'nf65EOgLrQMR/uIPnA4rEsF5h7TKyQwu9U1bMCHGi/4'),
  ],
  [
    'the same with two lanes',
    'password',
    argon2id('m=256,t=2,p=2', 'c29tZXNhbHQ', 'bQk8UB/VmZZF4Oo79iDXuL5/0ttZwg2f/5U52iv1cDc'),
  ],
]

describe.each(published)('%s', (_, password, encoded) => {
  test('is verified by its password, and by no other', async () => {
    const hash = parsePasswordHash(encoded)
    if ('refused' in hash) throw new Error(hash.refused)
    expect(await passwordHashes.verify(hash, password)).toBe(true)
    expect(await passwordHashes.verify(hash, `${password}.`)).toBe(false)
  })
})

test.each([
  ['as costly bcrypt', bcrypt('$2b$14')],
  ['as large scrypt', scrypt('ln=17,r=8,p=4')],
  ['as large Argon2id', argon2id('m=262144,t=4,p=8')],
  ['as long as it may be', scrypt('ln=4,r=1,p=1', base64(Buffer.alloc(64)), base64(Buffer.alloc(64)))],
])('a hash %s as is allowed is read', (_, encoded) => {
  expect(parsePasswordHash(encoded)).not.toHaveProperty('refused')
})

test.each([
  ['nothing', ''],
  ['a password', 'Hello123!'],
  ['SHA-256 in hex', 'a'.repeat(64)],
  ['bcrypt that would take seconds', bcrypt('$2b$15')],
  ['bcrypt with a cost that is none', bcrypt('$2b$99')],
  ['bcrypt with a cost below the least', bcrypt('$2b$03')],
  ['the faulty bcrypt $2x$', bcrypt('$2x$05')],
  ['bcrypt that was cut', bcrypt('$2b$05').slice(0, -1)],
  ['bcrypt with a line break', `${bcrypt('$2b$05')}\n`],
  ['scrypt with more memory', scrypt('ln=18,r=8,p=1')],
  ['scrypt with huge blocks', scrypt('ln=4,r=9999,p=99')],
  ['scrypt with more work', scrypt('ln=17,r=8,p=5')],
  ['scrypt whose N is too large for r', scrypt('ln=16,r=1,p=1')],
  ['scrypt whose N is 1', scrypt('ln=0,r=8,p=1')],
  ['scrypt without lanes', scrypt('ln=14,r=8,p=0')],
  ['scrypt with a tiny hash', scrypt('ln=14,r=8,p=1', SALT, 'AAAA')],
  ['scrypt with a tiny salt', scrypt('ln=14,r=8,p=1', 'AAAA')],
  ['scrypt with padding', scrypt('ln=14,r=8,p=1', SALT, `${HASH}=`)],
  ['scrypt with spare bits', scrypt('ln=14,r=8,p=1', SALT, HASH.replace(/.$/, 'd'))],
  ['Argon2id with more memory', argon2id('m=262145,t=1,p=1')],
  ['Argon2id with more work', argon2id('m=262144,t=5,p=1')],
  ['Argon2id with less memory than its lanes need', argon2id('m=31,t=1,p=4')],
  ['Argon2id with many lanes', argon2id('m=65536,t=1,p=65')],
  ['Argon2id without passes', argon2id('m=65536,t=0,p=1')],
  ['Argon2id of the old version', argon2id('m=65536,t=1,p=1').replace('v=19', 'v=16')],
  ['Argon2i', argon2id('m=65536,t=1,p=1').replace('argon2id', 'argon2i')],
  ['a hash that is very long', scrypt('ln=14,r=8,p=1', 'A'.repeat(10_000))],
])('%s is refused before anything is computed', (_, encoded) => {
  expect(parsePasswordHash(encoded)).toEqual({ refused: expect.stringMatching(/^must /) })
})
