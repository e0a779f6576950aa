// The class of address lists loads when it is first needed.
import net, { isIPv4, isIPv6 } from 'node:net'

/** Whether an address is in one of the networks. An unknown address is in none. */
export function isInNetworks(networks: readonly string[], ip = ''): boolean {
  const list = new net.BlockList()
  for (const network of networks) {
    const [address = '', bits] = network.split('/')
    const family = isIPv4(address) ? 'ipv4' : 'ipv6'
    list.addSubnet(address, Number(bits ?? (family === 'ipv4' ? 32 : 128)), family)
  }
  // An IPv4 address in the notation of IPv6 is in the networks of IPv4, too.
  return isIPv4(ip) ? list.check(ip, 'ipv4') : isIPv6(ip) && list.check(ip, 'ipv6')
}
