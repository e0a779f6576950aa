/** Host names that are not on the internet: reserved ones (RFC 2606, 6761) and those of the local machine. */
export const NOWHERE = /(^|\.)(example|test|invalid|localhost|local)$|(^|\.)example\.(com|net|org)$|^[\d.]+$/i

/** A host name of at least two labels, as certificates have it. */
export const HOST = /^(?:[a-z0-9](?:[a-z0-9-]*[a-z0-9])?\.)+[a-z0-9-]+$/
