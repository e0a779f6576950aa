import { execFile } from 'node:child_process'
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { copyProject } from '../support/project-copy.ts'

const ROOT = join(import.meta.dirname, '..', '..')
const broken = copyProject()

/** Runs the demo of a project to its end. */
const demo = (cwd: string) =>
  new Promise<{ code: number; out: string; err: string }>((resolve) => {
    const child = execFile(process.execPath, ['test/local/demo.ts'], { cwd }, (_, out, err) =>
      resolve({ code: child.exitCode ?? -1, out, err }),
    )
  })

test('it shows each request with its answer, and ends with code 0', async () => {
  const { code, out, err } = await demo(ROOT)
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
  expect(err).toMatch(/^\nThe story stopped\. .+: expected 401, got 200\n$/)
})
