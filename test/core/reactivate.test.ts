import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect, test } from 'vitest'

const CORE = join(import.meta.dirname, '..', '..', 'core')

test('only `reactivate` makes an account active again, so that no active account is due to be erased', () => {
  const files = readdirSync(CORE, { recursive: true, encoding: 'utf8' }).filter((file) =>
    /^(?!table).*\.ts$/.test(file),
  )
  // An assignment is followed by another one; a condition is not.
  const activating = files.filter((file) =>
    /#status = \$\{'active'\},/.test(readFileSync(join(CORE, file), 'utf8')),
  )
  expect(activating).toEqual(['account/reactivate.ts'])
})
