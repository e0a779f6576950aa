import { execFile } from 'node:child_process'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { expect, test } from 'vitest'

const METER = join(import.meta.dirname, '../../functions/client/meter.ts')

test('a process that waits for a decision lives until it comes, and then nothing of the meter keeps it', async () => {
  const code = `
    import { meter } from ${JSON.stringify(METER)}
    const m = meter({ url: 'http://127.0.0.1:9', fetch: () => Promise.reject(new Error('down')), timeoutMs: 200 })
    const { code } = await m.spend({ key: 'k', units: 1 })
    console.log(code)`
  const { stdout, stderr } = await promisify(execFile)(process.execPath, ['--input-type=module', '-e', code])
  expect(stdout).toBe('unavailable\n')
  expect(stderr).toBe(
    'bursar/meter: unavailable. Bursar did not answer at http://127.0.0.1:9: the connection failed (Error).\n',
  )
})
