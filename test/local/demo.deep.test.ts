import { execFile } from 'node:child_process'
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { copyProject } from '../support/project-copy.ts'

const ROOT = join(import.meta.dirname, '..', '..')
const broken = copyProject()

/** Runs the demo of a project to its end. */
const demo = (cwd: string, ...args: string[]) =>
  new Promise<{ code: number; out: string; err: string }>((resolve) => {
    const child = execFile(process.execPath, ['test/local/demo.ts', ...args], { cwd }, (_, out, err) =>
      resolve({ code: child.exitCode ?? -1, out, err }),
    )
  })

test('it fits two screens and ends with a summary and code 0', async () => {
  const { code, out, err } = await demo(ROOT)
  expect({ code, err }).toEqual({ code: 0, err: '' })
  const lines = out.trimEnd().split('\n')
  expect(lines.length).toBeLessThanOrEqual(100)
  for (const line of lines) expect(line.length).toBeLessThanOrEqual(100)
  expect(lines).toContainEqual(expect.stringMatching(/^ {2}201 {2}Ada registers +POST \/rest\/users$/))
  const [, summary = ''] = out.split(/\nWhat went as it should, in [\d.]+ s\n/)
  expect(summary.match(/^ {2}✓ \w+: .+ \d+ requests, \d+ checks$/gm)).toHaveLength(5)
  expect(summary).toMatch(/npm run demo -- --verbose.*\nThe story went as expected\.\n$/)
})

// The story once more, so only in the deep tests.
test('with --verbose it shows each request with its answer', async () => {
  const { code, out, err } = await demo(ROOT, '--verbose')
  expect({ code, err }).toEqual({ code: 0, err: '' })
  const requests = out.match(/^ {2}→ [A-Z]+ \/\S+/gm) ?? []
  const answers = out.match(/^ {2}← \d{3}/gm) ?? []
  expect(requests.length).toBeGreaterThan(10)
  expect(answers).toHaveLength(requests.length)
  for (const request of [
    'POST /rest/users',
    'POST /v1/auth/login',
    'GET /api/users/current',
    'GET /v1/user',
  ]) {
    expect(requests).toContain(`  → ${request}`)
  }
  expect(out).toMatch(/\nThe story went as expected\.\n$/)
})

test('a step that is not as expected ends it with another code, and is named', async () => {
  writeFileSync(
    join(broken, 'functions/v1/logout.ts'),
    'export const handler = async () => ({ statusCode: 204 })\n',
  )
  const { code, out, err } = await demo(broken)
  expect(code).toBe(1)
  expect(out).not.toMatch(/went as expected/)
  expect(out).toMatch(/\n {2}→ GET \/v1\/user\n {2}← 200 {2}\{"/)
  expect(err).toMatch(/^\nThe story stopped\. .+: expected 401, got 200\n$/)
})
