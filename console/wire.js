export function startWire() {}
