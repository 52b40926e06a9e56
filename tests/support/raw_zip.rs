//! Zips written field by field: what no honest program writes, a test can.

/// One member, its bytes as they are packed.
#[derive(Clone)]
pub struct RawMember {
    pub name: Vec<u8>,
    /// Bit 0: encrypted.
    pub flags: u16,
    /// 0: stored, 8: deflated.
    pub method: u16,
    pub crc: u32,
    pub packed: Vec<u8>,
    pub unpacked_bytes: u32,
}

impl RawMember {
    /// As it should be.
    pub fn stored(name: &str, bytes: &[u8]) -> Self {
        let mut crc = flate2::Crc::new();
        crc.update(bytes);
        Self {
            name: name.as_bytes().to_vec(),
            flags: 0,
            method: 0,
            crc: crc.sum(),
            packed: bytes.to_vec(),
            unpacked_bytes: size(bytes.len()),
        }
    }

    /// So many MiB of zeros, deflated, with nobody's checksum.
    pub fn zeros(name: &str, mebibytes: usize) -> Self {
        Self {
            method: 8,
            packed: deflated_zeros(mebibytes),
            unpacked_bytes: size(mebibytes << 20),
            ..Self::stored(name, b"")
        }
    }
}

/// The zip of these members.
pub fn zip(members: &[RawMember]) -> Vec<u8> {
    let mut file = Vec::new();
    let mut directory = Vec::new();
    for member in members {
        let at = size(file.len());
        file.extend(b"PK\x03\x04");
        file.extend(fields(member));
        file.extend(&member.name);
        file.extend(&member.packed);
        directory.extend(b"PK\x01\x02\x14\x00");
        directory.extend(fields(member));
        directory.extend([0; 10]);
        directory.extend(at.to_le_bytes());
        directory.extend(&member.name);
    }
    let (offset, count) = (
        size(file.len()),
        u16::try_from(members.len()).expect("no zip64").to_le_bytes(),
    );
    file.extend(&directory);
    file.extend(b"PK\x05\x06\0\0\0\0");
    file.extend([count, count].concat());
    file.extend(size(directory.len()).to_le_bytes());
    file.extend(offset.to_le_bytes());
    file.extend([0, 0]);
    file
}

/// What both headers of a member have: from the version needed to the length of the extra field.
fn fields(member: &RawMember) -> Vec<u8> {
    let short = |number: u16| number.to_le_bytes();
    let mut fields = [
        short(20),
        short(member.flags),
        short(member.method),
        short(0),
        short(0x21),
    ]
    .concat();
    for number in [member.crc, size(member.packed.len()), member.unpacked_bytes] {
        fields.extend(number.to_le_bytes());
    }
    fields.extend(short(u16::try_from(member.name.len()).expect("a short name")));
    fields.extend(short(0));
    fields
}

/// Deflated zeros, the same MiB again and again: a gigabyte costs no time to make.
pub fn deflated_zeros(mebibytes: usize) -> Vec<u8> {
    let mut packing = flate2::Compress::new(flate2::Compression::best(), false);
    let mut one = Vec::with_capacity(64 << 10);
    packing
        .compress_vec(&vec![0; 1 << 20], &mut one, flate2::FlushCompress::Full)
        .expect("it goes into memory");
    let mut packed = one.repeat(mebibytes);
    // The last block, empty.
    packed.extend([3, 0]);
    packed
}

/// The same as a gzip file, without the checksum nobody comes to.
pub fn gzip_of_zeros(mebibytes: usize) -> Vec<u8> {
    let mut file = b"\x1f\x8b\x08\0\0\0\0\0\0\xff".to_vec();
    file.extend(deflated_zeros(mebibytes));
    file
}

/// Zeros as a zstd frame that says one byte for every 128 KiB, and wants a window of `2^window_log` bytes.
pub fn zstd_of_zeros(mebibytes: usize, window_log: u8) -> Vec<u8> {
    let mut file = b"\x28\xb5\x2f\xfd\0".to_vec();
    file.push((window_log - 10) << 3);
    let blocks = mebibytes * 8;
    for block in 1..=blocks {
        let header = u32::from(block == blocks) | 1 << 1 | (128 << 10) << 3;
        file.extend(&header.to_le_bytes()[..3]);
        file.push(b'0');
    }
    file
}

fn size(length: usize) -> u32 {
    u32::try_from(length).expect("no zip64")
}
