import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect, test } from 'vitest'

const ROOT = join(import.meta.dirname, '..', '..')

/** What builds and deploys Bursar, and the command of operators, runs on a developer's machine and ships nowhere. */
const NOT_DEPLOYED = /^functions\/(deploy|ops\/command)\//

const deployed = ['core', 'functions']
  .flatMap((folder) =>
    readdirSync(join(ROOT, folder), { recursive: true, encoding: 'utf8' }).map((file) =>
      join(folder, file).replaceAll('\\', '/'),
    ),
  )
  .filter((file) => /\.tsx?$/.test(file) && !NOT_DEPLOYED.test(file))
  .sort()

const filesWith = (pattern: RegExp) =>
  deployed.filter((file) => pattern.test(readFileSync(join(ROOT, file), 'utf8')))

/** Asserts that no deployed code has the pattern, which finds a line that is planted. */
function expectNever(pattern: RegExp, planted: string): void {
  expect(planted).toMatch(pattern)
  expect(filesWith(pattern)).toEqual([])
}

test('no deployed code runs a command', () => {
  expectNever(/\bchild_process\b/, "import { exec } from 'node:child_process'")
})

test('no deployed code runs a text as code', () => {
  expectNever(/\beval\(|\bnew Function\(|\bnode:vm\b/, 'const run = new Function(text)')
})

test('no page makes HTML of a text', () => {
  expectNever(
    /\b(inner|outer)HTML\b|\binsertAdjacentHTML\b|\bdangerouslySetInnerHTML\b|\bdocument\.write/,
    'element.innerHTML = name',
  )
})

test('no page listens to other windows', () => {
  expectNever(
    /\bpostMessage\(|\bonmessage\b|addEventListener\(\s*['"`]message['"`]/,
    "window.addEventListener('message', take)",
  )
})

test('no client trusts a server whose certificate is wrong', () => {
  expectNever(
    /\brejectUnauthorized\b|\bNODE_TLS_REJECT_UNAUTHORIZED\b|\bcheckServerIdentity\b/,
    'new Agent({ rejectUnauthorized: false })',
  )
})

test('no weak hash, cipher or padding is named', () => {
  const weak =
    /['"`](md[45]|sha-?1|ripemd\w*|rc4|des3?|des-[-\w]+|aes-?\d+-(?!gcm)\w+)['"`]|\bRSA_PKCS1_PADDING\b/i
  expectNever(weak, "createCipheriv('aes-256-cbc', key, iv)")
})

test('the search reads functions, the domain and pages', () => {
  for (const file of ['core/adapters/keyring.ts', 'functions/authorizer.ts', 'functions/pages/kit/form.tsx'])
    expect(deployed).toContain(file)
})

test('`Math.random` only chooses how long to wait', () => {
  expect(filesWith(/\bMath\.random\b/)).toEqual([
    'core/purchases/rate-limit.ts',
    'core/quota/batch.ts',
    'core/quota/consume.ts',
    'core/quota/evict.ts',
    'core/table/requests.ts',
    'functions/client/attempt.ts',
  ])
})

test('regular expressions are made of constants alone', () => {
  expect(filesWith(/\bnew RegExp\(/)).toEqual([
    'core/account/fields.ts',
    'core/account/visible-text.ts',
    'functions/pages/portal/paths.ts',
    'functions/pages/site.ts',
  ])
})

test('browser storage holds the language and the mark of a session, and nothing else', () => {
  expect(filesWith(/\b(localStorage|sessionStorage|indexedDB|document\.cookie)\b/)).toEqual([
    'functions/pages/kit/language.ts',
  ])
  const keeping = filesWith(/\bstore\(/).filter((file) => file.startsWith('functions/pages/'))
  expect(keeping).toEqual(['functions/pages/kit/language.ts', 'functions/pages/portal/session.ts'])
})
