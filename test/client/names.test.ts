import { expect, test } from 'vitest'
import { endpoints } from '../../functions/client/endpoints.ts'
import { names } from '../../functions/client/names.ts'
import { NOT_REPEATED, namedRows } from '../../functions/deploy/client-types.ts'
import { customerRows } from '../../functions/http/rows.ts'
import { REPEATS } from '../conformance/repeats.ts'

test('every row has one name in the client: a noun and a verb', () => {
  const keys = customerRows.map(({ dialect, name }) => `${dialect}.${name}`)
  expect(Object.values(names).sort()).toEqual(keys.sort())
  expect(Object.keys(names).filter((name) => !/^[a-z][A-Za-z]+\.[a-z][A-Za-z]+$/.test(name))).toEqual([])
})

test('the client repeats a request by itself only if a repeat of one that succeeded changes nothing more', () => {
  const repeated = namedRows().filter(([name]) =>
    endpoints[name as keyof typeof endpoints].split(' ').includes('repeats'),
  )
  const unsafe = repeated.filter(([name, row]) => {
    if (row.routes.some((key) => key.startsWith('GET ')) && !row.body) return false
    const [answer] = REPEATS[`${row.dialect}.${row.name}`] ?? ['refused']
    const isNamed = endpoints[name as keyof typeof endpoints].split(' ').includes('named')
    return !(answer === 'same' || answer === 'fresh' || (answer === 'named' && isNamed))
  })
  expect(unsafe.map(([name]) => name)).toEqual([])
  const known = customerRows.map(({ dialect, name }) => `${dialect}.${name}`)
  expect(NOT_REPEATED.filter((key) => !known.includes(key))).toEqual([])
})

test('a path has one parameter at most, which is the first argument of the call', () => {
  const paths = customerRows.map(({ routes: [key] }) => key)
  expect(paths.filter((key) => key.split('{').length > 2)).toEqual([])
})
