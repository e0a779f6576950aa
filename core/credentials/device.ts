/**
 * What browsers and other clients write into a User-Agent header, by the name that people know. The first match
 * counts, because most browsers also name those that they descend from.
 */
const CLIENTS: [name: string, ...marks: string[]][] = [
  ['Edge', 'Edg/', 'EdgA/', 'EdgiOS/', 'Edge/'],
  ['Opera', 'OPR/', 'Opera'],
  ['Samsung Internet', 'SamsungBrowser/'],
  ['Vivaldi', 'Vivaldi/'],
  ['Yandex Browser', 'YaBrowser/'],
  ['DuckDuckGo', 'DuckDuckGo/', 'Ddg/'],
  ['Firefox', 'Firefox/', 'FxiOS/'],
  ['Chrome', 'Chrome/', 'CriOS/', 'Chromium/'],
  ['Internet Explorer', 'Trident/', 'MSIE '],
  ['Safari', 'Safari/'],
  ['curl', 'curl/'],
  ['Postman', 'PostmanRuntime/'],
  ['PowerShell', 'PowerShell/'],
  ['Python', 'python-requests/', 'Python/', 'python-httpx/', 'Python-urllib/'],
  ['Go', 'Go-http-client/'],
  ['Java', 'Java/', 'okhttp/', 'Java-http-client/'],
  ['Node.js', 'node', 'undici', 'axios/'],
]

/** Operating systems in the same form. Android names Linux, and iOS names Mac OS X. */
const SYSTEMS: typeof CLIENTS = [
  ['iOS', 'iPhone', 'iPad', 'iPod'],
  ['Android', 'Android'],
  ['Windows', 'Windows'],
  ['ChromeOS', 'CrOS'],
  ['macOS', 'Macintosh', 'Mac OS X', 'Darwin'],
  ['Linux', 'Linux', 'X11'],
]

/** The part of a User-Agent that is looked at. Browsers send less. */
const LONGEST = 512

const nameIn = (userAgent: string, names: typeof CLIENTS): string | undefined =>
  names.find(([, ...marks]) => marks.some((mark) => userAgent.includes(mark)))?.[0]

/**
 * What a request came from, such as `Firefox on Windows`, in words from the lists above alone: a User-Agent is a
 * stranger's text, and nothing else of it is stored or shown. Versions are left out, because an update makes no new
 * device.
 * @returns undefined if neither the client nor the system is known.
 */
export function deviceName(userAgent = ''): string | undefined {
  const start = userAgent.slice(0, LONGEST)
  const names = [nameIn(start, CLIENTS), nameIn(start, SYSTEMS)].filter((name) => name !== undefined)
  return names.length > 0 ? names.join(' on ') : undefined
}
