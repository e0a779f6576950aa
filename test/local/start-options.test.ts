import { expect, test } from 'vitest'
import { HELP, readOptions } from './start-options.ts'

test('without arguments: port 3000, data in .local, jobs on, no list of routes', () => {
  expect(readOptions([], {})).toEqual({
    port: 3000,
    data: '.local',
    schedule: true,
    routes: false,
    help: false,
    appUrl: undefined,
  })
})

test('every option is read', () => {
  const args = ['--port', '0', '--data', ':memory:', '--no-schedule', '--routes', '--help']
  expect(readOptions(args, {})).toEqual({
    port: 0,
    data: ':memory:',
    schedule: false,
    routes: true,
    help: true,
    appUrl: undefined,
  })
})

test('PORT from the environment is the port; --port goes before it, and an empty PORT is none', () => {
  expect(readOptions([], { PORT: '4000' }).port).toBe(4000)
  expect(readOptions(['--port', '5000'], { PORT: '4000' }).port).toBe(5000)
  expect(readOptions(['--port', '5000'], { PORT: 'garbage' }).port).toBe(5000)
  expect(readOptions([], { PORT: '' }).port).toBe(3000)
})

test('APP_URL from the environment is the frontend, without a slash at its end', () => {
  expect(readOptions([], { APP_URL: 'http://localhost:5173/' }).appUrl).toBe('http://localhost:5173')
  expect(readOptions([], { APP_URL: 'https://dev.acme.io/app' }).appUrl).toBe('https://dev.acme.io/app')
})

test.each<[string, string[], Record<string, string>, RegExp]>([
  ['a port that is none', ['--port', 'abc'], {}, /^--port abc is no port\. /],
  ['a port beyond all ports', ['--port', '65536'], {}, /^--port 65536 is no port\. /],
  ['a negative port', ['--port=-1'], {}, /^--port -1 is no port\. /],
  ['a port in other digits', ['--port', '0x10'], {}, /^--port 0x10 is no port\. /],
  ['an empty port', ['--port', ''], {}, /^--port {2}is no port\. /],
  ['a port in the environment that is none', [], { PORT: '3000x' }, /^PORT 3000x is no port\. /],
  ['a data folder without a name', ['--data', ''], {}, /^--data needs a folder\. /],
  ['a frontend at an IP address', [], { APP_URL: 'http://127.0.0.1:5173' }, /^APP_URL .* is no page: /],
  ['a frontend that is no URL', [], { APP_URL: 'app' }, /^APP_URL app is no page: /],
  ['an option without its value', ['--data', '--routes'], {}, /'--data' argument is ambiguous/],
  ['an option that there is not', ['--prot', '3000'], {}, /'--prot'/],
  ['a word that is no option', ['garbage'], {}, /'garbage'/],
])('%s is refused in one line that says how it is done', (_, args, env, sentence) => {
  expect(() => readOptions(args, env)).toThrow(sentence)
  expect(() => readOptions(args, env)).toThrow(/^[^\n]+ Usage: npm run dev -- \[--port 3000\] [^\n]+$/)
})

test.each([
  ...['--port', '--data', '--no-schedule', '--routes', '--help'],
  ...['PORT', 'DYNAMODB_ENDPOINT', 'APP_URL', 'STRIPE_SECRET_KEY', 'STRIPE_PUBLISHABLE_KEY'],
  ...['STRIPE_WEBHOOK_SECRETS', 'NO_COLOR'],
])('the help explains %s', (name) => {
  expect(HELP).toMatch(new RegExp(`^ {2}${name}\\b.* {2,}\\S|^ {2}${name}, FORCE_COLOR {2,}\\S`, 'm'))
})
