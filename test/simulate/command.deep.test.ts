import { execFile } from 'node:child_process'
import { join } from 'node:path'
import { expect, test } from 'vitest'

/** Runs the command. @returns its exit code and what it has printed */
const command = (...args: string[]) =>
  new Promise<{ code: number; output: string }>((resolve) => {
    const file = join(import.meta.dirname, 'simulate.ts')
    execFile(process.execPath, [file, ...args], (error, stdout, stderr) =>
      resolve({ code: error ? Number(error.code) : 0, output: stdout + stderr }),
    )
  })

test('the command prints bill, peaks and curves, and says what is wrong with an option', async () => {
  const { code, output } = await command('--accounts', '1000,2000', '--days', '1')
  expect(code).toBe(0)
  for (const text of ['1,000 accounts', '2,000 accounts', 'in all', 'one account', 'wait for a mail', '▁'])
    expect(output).toContain(text)
  expect(await command('--accounts', 'many')).toEqual({
    code: 1,
    output: '--accounts must be a whole number from 1 to 100,000,000, not many.\n',
  })
  expect((await command('--region', 'moon')).output).toBe('--region must be one of us-east-1, eu-west-1.\n')
  expect((await command('--set', 'moon=1')).output).toMatch(/^--set moon: there is dueShards, .*viral\.use, /)
  expect((await command('--set', 'paced=maybe')).output).toBe(
    '--set paced must be true or false, not maybe.\n',
  )
})
