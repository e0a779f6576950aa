import { lookup } from 'node:dns'
import { request as httpRequest } from 'node:http'
import { request as httpsRequest } from 'node:https'
import net, { isIP, type LookupFunction } from 'node:net'
import type { Hooks } from '../ports.ts'

const TIMEOUT_MS = 10_000

/** What of IPv4 is not the public internet: loopback, private, link-local with its metadata, shared, test, multicast. */
const NOT_PUBLIC_4 = [
  ...['0.0.0.0/8', '10.0.0.0/8', '100.64.0.0/10', '127.0.0.0/8', '169.254.0.0/16', '172.16.0.0/12'],
  ...['192.0.0.0/24', '192.0.2.0/24', '192.88.99.0/24', '192.168.0.0/16', '198.18.0.0/15'],
  ...['198.51.100.0/24', '203.0.113.0/24', '224.0.0.0/4', '240.0.0.0/4'],
]
/** Only `2000::/3` is public, apart from tunnels and documentation. */
const NOT_PUBLIC_6 = ['2001::/23', '2001:db8::/32', '2002::/16', '3fff::/20']

const blocked = new net.BlockList()
const public6 = new net.BlockList()
for (const net of NOT_PUBLIC_4) blocked.addSubnet(net.split('/')[0] ?? '', Number(net.split('/')[1]), 'ipv4')
for (const net of NOT_PUBLIC_6) blocked.addSubnet(net.split('/')[0] ?? '', Number(net.split('/')[1]), 'ipv6')
public6.addSubnet('2000::', 3, 'ipv6')

/** Whether an IP address is one of the public internet. */
export function isPublicAddress(address: string): boolean {
  if (isIP(address) === 4) return !blocked.check(address, 'ipv4')
  return isIP(address) === 6 && public6.check(address, 'ipv6') && !blocked.check(address, 'ipv6')
}

const LOCAL_HOSTS = ['127.0.0.1', 'localhost', '[::1]']
const hostOf = ({ hostname }: URL): string => hostname.replace(/^\[|\]$/g, '')

class NotPublic extends Error {}

/**
 * Resolves a name for the connection itself, so that what is checked is what is connected to, whatever the name resolves
 * to a moment later.
 */
export const publicLookup: LookupFunction = (hostname, options, callback) => {
  lookup(hostname, { ...options, all: true }, (error, found) => {
    if (error) return callback(error, '', 0)
    const [first] = found
    if (!first || !found.every(({ address }) => isPublicAddress(address)))
      return callback(new NotPublic('not public'), '', 0)
    if (options.all) return callback(null, found)
    callback(null, first.address, first.family)
  })
}

/** @param mayBeLocal whether this is the local stack, where endpoints on this machine may get events over http. */
export function hookSender({ mayBeLocal }: { mayBeLocal: boolean }): Hooks {
  const isLocal = (url: URL) => mayBeLocal && LOCAL_HOSTS.includes(url.hostname)
  const permits = (text: string): boolean => {
    const url = URL.parse(text)
    if (!url) return false
    if (url.username !== '' || url.password !== '') return false
    if (isLocal(url)) return url.protocol === 'http:' || url.protocol === 'https:'
    const host = hostOf(url)
    return url.protocol === 'https:' && (isIP(host) === 0 ? host.includes('.') : isPublicAddress(host))
  }
  return {
    permits,
    send: (text, headers, body) =>
      new Promise((resolve) => {
        // An address in the URL is not looked up, so `permits` checks it.
        if (!permits(text)) return resolve('address refused')
        const url = new URL(text)
        const open = url.protocol === 'http:' ? httpRequest : httpsRequest
        const sent = open(
          url,
          {
            method: 'POST',
            headers: { ...headers, 'content-length': Buffer.byteLength(body), 'user-agent': 'Bursar' },
            agent: false,
            ...(!isLocal(url) && { lookup: publicLookup }),
            signal: AbortSignal.timeout(TIMEOUT_MS),
          },
          (answer) => {
            resolve(String(answer.statusCode))
            answer.destroy()
          },
        )
        sent.on('error', (error: Error) => resolve(reasonOf(error)))
        sent.end(body)
      }),
  }
}

function reasonOf(error: Error & { code?: unknown }): string {
  if (error instanceof NotPublic) return 'address refused'
  if (error.name === 'AbortError' || error.name === 'TimeoutError') return 'timed out'
  return typeof error.code === 'string' ? error.code : 'no connection'
}
