import { vi } from 'vitest'
import type { Purpose } from '../../core/purposes.ts'
import type { DynamoDouble } from '../local/dynamodb.ts'
import { isIntercepted } from '../local/http.ts'
import { noteCall, notePurpose } from './aws-calls.ts'

const shared = globalThis as { shortWays?: Map<string, DynamoDouble['exchange']> }

/**
 * Doubles by their URL, to which our own client's requests go as a call: the socket between them would take a third of
 * all the time that the tests take. `npm run test:deep` has the socket, and so have requests that an interceptor wants.
 */
shared.shortWays ??= new Map()
export const { shortWays } = shared

// This runs before each test file, so that no module has the client yet.
vi.mock('../../core/adapters/aws-post.ts', async (original) => {
  const real = await original<typeof import('../../core/adapters/aws-post.ts')>()
  const poster: typeof real.poster = (url, service, limits) => {
    const post = real.poster(url, service, limits)
    return async (headers, body, once) => {
      const exchange = isIntercepted(url.origin) ? undefined : shortWays.get(url.origin)
      if (!exchange) return post(headers, body, once)
      noteCall(headers, url.pathname, body)
      const answer = await exchange(headers, body)
      if (!answer) throw Object.assign(new Error('socket hang up'), { code: 'ECONNRESET' })
      return { status: answer.status, text: answer.body }
    }
  }
  return { ...real, poster }
})

// Each function has keys for what its code does with the root secret. Tests have them all, and note which are used.
vi.mock('../../core/adapters/keyring.ts', async (original) => {
  const real = await original<typeof import('../../core/adapters/keyring.ts')>()
  const openKeyring: typeof real.openKeyring = (text) => {
    const keyring = real.openKeyring(text)
    const noting = (name: 'mac' | 'macs' | 'macBy' | 'seal' | 'open', at: number) => ({
      [name]: (...given: unknown[]) => {
        notePurpose(given[at] as Purpose)
        return Reflect.apply(keyring[name], keyring, given)
      },
    })
    return {
      ...keyring,
      ...noting('mac', 0),
      ...noting('macs', 0),
      ...noting('macBy', 1),
      ...noting('seal', 0),
      ...noting('open', 0),
    }
  }
  return { ...real, openKeyring }
})
