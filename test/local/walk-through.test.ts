import { expect, test } from 'vitest'
import { powerShellWalkThrough, shellWalkThrough } from './walk-through.ts'

const URL = 'http://127.0.0.1:3000'
const [shell, powerShell] = [shellWalkThrough(URL), powerShellWalkThrough(URL)]

test('a shell that does not know comments, as zsh at its prompt, understands every line', () => {
  for (const line of shell.split('\n')) expect(line).not.toMatch(/^\s*#|\s#\s/)
})

test('`!`, which bash at its prompt takes for its history between double quotes, stands between single quotes', () => {
  for (const line of shell.split('\n')) expect(line.replaceAll(/'[^']*'/g, '')).not.toContain('!')
})

test('both blocks make the same requests in the same order', () => {
  const paths = (text: string, pattern: RegExp) =>
    [...text.matchAll(pattern)].map(([, path = '']) => path.replace(/\$\w+/g, '$').toLowerCase())
  const ofShell = paths(shell, /curl -sS "\$API([^"]+)"/g)
  expect(paths(powerShell, /send (?:GET|POST) ['"]([^'"]+)['"]/g)).toEqual(ofShell)
  expect(ofShell.length).toBeGreaterThan(12)
})

// There is no PowerShell to run it with: these are the slips that a person who writes bash makes.
test.each([
  ['a command of Unix', /\b(curl|grep|cut|head|tail|node|export|echo|jq)\b/],
  ['a continued line of bash', /\\$/m],
  ['a command substitution of bash', /\$\([a-z]+ -/],
  ['an assignment without `$`', /^\w+=/m],
  ['a variable in capitals', /\$[A-Z]{2,}/],
  ['JSON in quotes', /'\{"/],
  ['`&&`, which PowerShell 5 does not know', /&&|\|\|/],
  [
    'a variable that nothing sets',
    /\$(?!(api|name|request|method|path|token|json|code|key|invoice|1)\b)[a-z\d]/i,
  ],
])('the block for PowerShell has no %s', (_, slip) => {
  expect(powerShell).not.toMatch(slip)
})

test('every bracket and quote of the block for PowerShell is closed on its line, but for the function', () => {
  for (const line of powerShell.split('\n')) {
    const bare = line.replaceAll(/'[^']*'|"[^"]*"/g, '')
    expect(bare).not.toMatch(/['"]/)
    const count = (bracket: string) => bare.split(bracket).length - 1
    expect(count('(')).toBe(count(')'))
    if (!/^function |^\}$/.test(line)) expect(count('{')).toBe(count('}'))
  }
})
